"""Filters of lists: a parameter that is there has a value, and that value is one the schema allows."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from django import forms
from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema_field
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from shop.api.fields import read_moment

if TYPE_CHECKING:
    from rest_framework.views import APIView  # DRF's views load what is here: see REST_FRAMEWORK in the settings

MAX_ID = 2**63 - 1


class Filters(filters.DjangoFilterBackend):
    """Refuses parameters without a value: a form's empty field would quietly select everything."""

    def filter_queryset(  # type: ignore[override]
        self, request: Request, queryset: "QuerySet[Any]", view: "APIView"
    ) -> "QuerySet[Any]":
        filterset = self.get_filterset(request, queryset, view)
        names = filterset.filters if filterset else ()
        blank = [name for name in names if "" in request.query_params.getlist(name)]
        if blank:
            raise ValidationError(dict.fromkeys(blank, "It has no value: give one, or leave it out."))
        filtered: QuerySet[Any] = super().filter_queryset(request, queryset, view)
        return filtered


class MomentField(forms.Field):
    """A time as RFC 3339 writes it, with an offset; in UTC."""

    def to_python(self, value: Any) -> datetime | None:
        if not value:
            return None
        try:
            return read_moment(value)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None


@extend_schema_field(datetime)
class MomentFilter(filters.Filter):
    """Compares with a time."""

    field_class = MomentField


@extend_schema_field({"type": "integer", "minimum": 1, "maximum": MAX_ID})
class IdFilter(filters.Filter):
    """Compares with a number that identifies."""

    field_class = forms.IntegerField

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=1, max_value=MAX_ID, **kwargs)


@extend_schema_field(bool)
class FlagFilter(filters.TypedChoiceFilter):
    """Compares with ``true`` or ``false``."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=[("true", "true"), ("false", "false")], coerce=lambda text: text == "true", **kwargs)


@extend_schema_field({"type": "string", "minLength": 1, "maxLength": 200})
class TextFilter(filters.CharFilter):
    """Compares with exactly that text."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=200, strip=False, **kwargs)
