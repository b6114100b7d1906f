"""Campaigns over HTTP, for marketing's staff."""

from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from django.urls import reverse
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from shop.api.authentication import HasNeeded
from shop.api.bodies import Body
from shop.api.fields import Moment, Sku, Whole
from shop.api.filters import TextFilter
from shop.api.idempotency import idempotent
from shop.databases import database_time
from shop.marketing import policies, queries, services
from shop.marketing.models import Campaign, IdempotencyKey
from shop.values import MAX_PRICE, MAX_QUANTITY


class CampaignFields(Body):
    """The fields of a campaign that can be changed."""

    price = Whole(min_value=1, max_value=MAX_PRICE, help_text="In the minor unit of the shop's currency.")
    starts_at = Moment(help_text="If it is past, the campaign starts at once.")
    ends_at = Moment(help_text=f"At most {policies.MAX_WINDOW.days} days after `starts_at`.")
    limit_per_member = Whole(min_value=1, max_value=MAX_QUANTITY, help_text="Units, over the campaign's life.")
    allotment = Whole(min_value=1, max_value=policies.MAX_ALLOTMENT, help_text="Units, for all members together.")


class NewCampaign(CampaignFields):
    """All fields of a new campaign."""

    sku = Sku()


class CampaignChange(CampaignFields):
    """A change of a campaign; or its end, which comes alone."""

    state = serializers.ChoiceField([policies.ENDED], required=False, help_text="Ends the campaign now, for good.")

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        if "state" in fields and len(fields) > 1:
            rule = "A campaign that is ended is not changed any more: send `state` alone."
            raise serializers.ValidationError({"state": rule})
        return fields


@extend_schema_field(serializers.ChoiceField(list(queries.STAGES)))
class Stage(serializers.SerializerMethodField):
    """What a campaign is now, by the clock of marketing's database."""


class CampaignShape(serializers.Serializer[Campaign]):
    """A campaign as clients see it. ``at``, in the context, is the time at which it is looked at."""

    id = serializers.UUIDField()
    sku = serializers.CharField()
    price = serializers.IntegerField()
    starts_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField()
    limit_per_member = serializers.IntegerField()
    allotment = serializers.IntegerField()
    state = Stage()
    ended_at = serializers.DateTimeField(allow_null=True, help_text="When it was ended early, if it was.")

    def get_state(self, campaign: Campaign) -> str:
        return campaign.stage(self.context["at"])


def shown(campaign: Campaign) -> dict[str, Any]:
    """Represent a campaign to clients, as it is now."""
    return dict(CampaignShape(campaign, context={"at": database_time("marketing")}).data)


@extend_schema_field({"type": "string", "enum": list(queries.STAGES)})
class StageFilter(filters.ChoiceFilter):
    """Compares with what a campaign is now."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=[(stage, stage) for stage in queries.STAGES], **kwargs)

    def filter(self, qs: "QuerySet[Any]", value: Any) -> "QuerySet[Any]":
        return qs.filter(queries.STAGES[value]) if value else qs


class CampaignFilter(filters.FilterSet):
    sku = TextFilter()
    state = StageFilter()

    class Meta:
        model = Campaign
        fields = ("sku", "state")


class Campaigns(generics.ListAPIView[Campaign]):
    permission_classes = (HasNeeded,)
    needs: ClassVar = {"GET": "marketing.view_campaign", "POST": "marketing.add_campaign"}
    serializer_class = CampaignShape
    filterset_class = CampaignFilter
    ordering = ("-id",)

    def get_queryset(self) -> "QuerySet[Campaign]":
        return queries.campaigns()

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "at": database_time("marketing")}

    @extend_schema(operation_id="marketing_campaigns_list")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List campaigns, the newest first."""
        return self.list(request)

    @extend_schema(
        operation_id="marketing_campaigns_schedule",
        request=NewCampaign,
        parameters=[OpenApiParameter("Location", location=OpenApiParameter.HEADER, response=[201])],
        responses={
            201: CampaignShape,
            409: OpenApiResponse(None, "The window overlaps with that of another campaign of the product."),
        },
    )
    @idempotent(IdempotencyKey)
    def post(self, request: Request) -> Response:
        """Schedule a campaign. It starts and ends to the second; that of a product that is not listed is suspended."""
        body = NewCampaign(data=request.data)
        body.is_valid(raise_exception=True)
        campaign = services.schedule_campaign(at=database_time("marketing"), **body.validated_data)
        return Response(shown(campaign), status=201, headers={"Location": reverse("campaign", args=[campaign.pk])})


class CampaignDetail(APIView):
    permission_classes = (HasNeeded,)
    needs: ClassVar = {"GET": "marketing.view_campaign", "PATCH": "marketing.change_campaign"}

    @extend_schema(operation_id="marketing_campaigns_retrieve", responses=CampaignShape)
    def get(self, request: Request, campaign_id: UUID) -> Response:
        """Retrieve a campaign."""
        return Response(shown(queries.campaign(campaign_id)))

    @extend_schema(
        operation_id="marketing_campaigns_change",
        request=CampaignChange,
        responses={
            200: CampaignShape,
            409: OpenApiResponse(None, "It has ended; it has started, and this is fixed; or windows would overlap."),
        },
    )
    @idempotent(IdempotencyKey)
    def patch(self, request: Request, campaign_id: UUID) -> Response:
        """Change some fields of a campaign, once it has started `ends_at` alone; or end it, by `state`."""
        body = CampaignChange(data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        fields, at = body.validated_data, database_time("marketing")
        if "state" in fields:
            campaign = services.end_campaign(campaign_id=campaign_id, at=at)
        else:
            campaign = services.change_campaign(campaign_id=campaign_id, at=at, **fields)
        return Response(shown(campaign))
