"""Members over HTTP."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from shop.api.authentication import member_id_of
from shop.members import queries
from shop.members.models import Member


class MemberShape(serializers.Serializer[Member]):
    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()


class Me(APIView):
    @extend_schema(operation_id="members_me", responses=MemberShape)
    def get(self, request: Request) -> Response:
        """Retrieve the member who makes the request."""
        return Response(MemberShape(queries.member(member_id_of(request.user))).data)
