"""Members and their credit over HTTP."""

from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from shop.api.authentication import HasNeeded, member_id_of
from shop.api.bodies import Body
from shop.api.fields import Whole
from shop.api.idempotency import idempotent
from shop.members import queries, services
from shop.members.models import IdempotencyKey
from shop.values import MAX_CREDIT


class CreditShape(serializers.Serializer[Any]):
    """A credit account. Amounts are in the minor unit of the shop's currency."""

    limit = serializers.IntegerField()
    reserved = serializers.IntegerField(help_text="For orders that are open or confirmed.")
    spent = serializers.IntegerField(help_text="On orders that were shipped, without what came back.")
    available = serializers.IntegerField(help_text="For new orders: the limit without what is reserved and spent.")


class MemberShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    credit = CreditShape()


class Limit(Body):
    limit = Whole(min_value=0, max_value=MAX_CREDIT, help_text="In the minor unit of the shop's currency.")


class Me(APIView):
    @extend_schema(operation_id="members_me", responses=MemberShape)
    def get(self, request: Request) -> Response:
        """Retrieve the member who makes the request, with its credit."""
        member = queries.member(member_id_of(request.user))
        shown = {"id": member.pk, "name": member.name, "credit": queries.credit_of(member.pk)}
        return Response(MemberShape(shown).data)


class CreditLimit(APIView):
    permission_classes = (HasNeeded,)
    needs: ClassVar = {"PATCH": "members.change_creditaccount"}

    @extend_schema(
        operation_id="members_credit_change",
        request=Limit,
        responses={
            200: CreditShape,
            409: OpenApiResponse(None, "`limit_below_use`: more than this limit is reserved and spent already."),
        },
    )
    @idempotent(IdempotencyKey)
    def patch(self, request: Request, member_id: int) -> Response:
        """Raise or lower a member's credit limit."""
        body = Limit(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(CreditShape(services.change_limit(member_id=member_id, **body.validated_data)).data)
