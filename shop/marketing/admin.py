"""Marketing in the admin."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from shop.admin.dialogs import Dialog, dialog
from shop.admin.money import MoneyField
from shop.admin.pages import DomainPage, ReadOnlyPage, RefusableForm
from shop.admin.shown import NOTHING, Panel, badge, moment, page_link
from shop.databases import database_time
from shop.marketing import policies, queries, services
from shop.marketing.models import Campaign, ProductCopy
from shop.messaging.admin.timeline import events_of_key
from shop.values import MAX_PRICE, format_money

CALENDAR_ROWS = 20  # campaigns that the calendar shows, at most

COLOURS = {policies.SCHEDULED: "info", policies.RUNNING: "success", policies.SUSPENDED: "warning", policies.ENDED: ""}

DETAILS = (("sku", "price"), ("starts_at", "ends_at"), ("limit_per_member", "allotment"))


class CampaignForm(RefusableForm):
    """A campaign's fields; the price is written in the currency, not in its minor unit."""

    price = MoneyField(label="Sale price", currency=settings.CURRENCY, most=MAX_PRICE)


class StageFilter(admin.SimpleListFilter):
    """Filter by what campaigns are now."""

    title = "now"
    parameter_name = "stage"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(stage, stage.capitalize()) for stage in queries.STAGES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(queries.STAGES[stage]) if (stage := self.value()) in queries.STAGES else queryset


@admin.register(Campaign)
class CampaignPage(DomainPage):
    """Sales: a product at a price for a time. Above the list, a calendar of what runs now and next."""

    form = CampaignForm
    list_display = ("id", "sku", "amount", "starts", "ends", "limit_per_member", "allotment", "stage")
    list_filter = (StageFilter,)
    search_fields = ("id", "sku")
    search_help_text = "Campaign id or SKU, exactly"
    empty = "No campaign was scheduled yet."
    ordering = ("-id",)
    actions_detail = ("end",)
    change_list_template = "marketing/campaigns.html"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        answer: HttpResponseBase = super().changelist_view(request, {**(extra_context or {}), "panels": [calendar()]})
        return answer

    def complete(self, request: HttpRequest, rows: Sequence[Campaign]) -> None:
        now = database_time("marketing")
        for row in rows:
            row.now = now  # type: ignore[attr-defined]

    # Once a campaign has started, its end is all that can be changed.

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[Any]:
        if obj is None:
            return DETAILS
        price = "price" if self._may_change(request, obj) and "price" not in self._fixed(obj) else "amount"
        return (("sku", price), *DETAILS[1:], ("stage", "ended"), "product", "events")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[str]:
        return () if obj is None else ("sku", "amount", "stage", "ended", "product", "events", *self._fixed(obj))

    def _may_change(self, request: HttpRequest, obj: Campaign) -> bool:
        return bool(self.has_change_permission(request, obj))

    def _fixed(self, row: Any) -> tuple[str, ...]:
        if row.stage(row.now) == policies.ENDED:
            return Campaign.details
        return policies.FIXED if row.now >= row.starts_at else ()

    def save_model(self, request: HttpRequest, obj: Campaign, form: Any, change: bool) -> None:
        now = database_time("marketing")
        if change:
            fields = {name: form.cleaned_data[name] for name in form.changed_data}
            services.change_campaign(campaign_id=obj.pk, at=now, **fields)
        else:
            obj.pk = services.schedule_campaign(at=now, **form.cleaned_data).pk

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        row = self.get_object(request, str(object_id))
        fitting = row is not None and row.stage(row.now) != policies.ENDED
        return list(super().get_actions_detail(request, object_id)) if fitting else []

    @dialog(
        "End now",
        text="Orders get the usual price from now on; those that were placed keep theirs. This cannot be undone.",
        submit="Yes, end it",
        icon="stop_circle",
        danger=True,
    )
    def end(self, request: HttpRequest, form: Dialog, object_id: str) -> str:
        campaign = services.end_campaign(campaign_id=UUID(object_id), at=database_time("marketing"))
        self.log_change(request, campaign, "Ended early.")
        return f"The campaign of {campaign.sku} has ended."

    @admin.display(description="sale price")
    def amount(self, row: Campaign) -> str:
        return format_money(row.price, settings.CURRENCY)

    @admin.display(description="starts at (UTC)")
    def starts(self, row: Campaign) -> str:
        return moment(row.starts_at)

    @admin.display(description="ends at (UTC)")
    def ends(self, row: Campaign) -> str:
        return moment(row.ends_at)

    @admin.display(description="now")
    def stage(self, row: Any) -> str:
        return stage_badge(row, row.now)

    @admin.display(description="ended early at (UTC)")
    def ended(self, row: Campaign) -> str:
        return moment(row.ended_at)

    @admin.display
    def product(self, row: Campaign) -> str:
        return page_link("marketing_productcopy", row.sku)

    @admin.display(description="announcements")
    def events(self, row: Campaign) -> str:
        return events_of_key("marketing", row.key)


def calendar() -> Panel:
    """Show what runs now and next, the first to start first."""
    now = database_time("marketing")
    campaigns = queries.calendar(at=now, most=CALENDAR_ROWS)
    names = queries.names_of({campaign.sku for campaign in campaigns})
    rows = [
        (
            stage_badge(campaign, now),
            page_link("marketing_campaign", campaign.pk, campaign.sku),
            names.get(campaign.sku, NOTHING),
            format_money(campaign.price, settings.CURRENCY),
            moment(campaign.starts_at),
            moment(campaign.ends_at),
        )
        for campaign in campaigns
    ]
    headers = ("Now", "Campaign of", "Product", "Sale price", "Starts at (UTC)", "Ends at (UTC)")
    return Panel(title="Calendar: now and next", headers=headers, rows=rows, empty="No campaign runs or is planned.")


def stage_badge(campaign: Campaign, at: datetime) -> str:
    """Render what a campaign is at that moment."""
    stage = campaign.stage(at)
    return badge(stage, COLOURS[stage])


@admin.register(ProductCopy)
class ProductCopyPage(ReadOnlyPage):
    """Marketing's copy of a product."""

    list_display = ("sku", "name", "listed")
    search_fields = ("sku",)
    search_help_text = "SKU, exactly"
    ordering = ("sku",)
    fields = ("sku", "name", "listed")
