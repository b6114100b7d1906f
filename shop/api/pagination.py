"""Pages of a list."""

from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import DataError
from django.db.models import QuerySet
from rest_framework import exceptions, pagination
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from shop.proxy import UNKNOWN_SCHEME

if TYPE_CHECKING:
    from rest_framework.views import APIView  # DRF's views load what is here: see REST_FRAMEWORK in the settings


class Pages(pagination.CursorPagination):
    """``{next, previous, results}``, in the view's ``ordering``; ``?page_size=`` up to 500."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: "APIView") -> tuple[str, ...]:
        ordering: tuple[str, ...] = view.ordering  # type: ignore[attr-defined]
        return ordering

    def get_page_size(self, request: Request) -> int | None:
        size = request.query_params.get("page_size", "")
        if size and not (size.isascii() and size.isdigit() and int(size[:9])):
            raise ValidationError({"page_size": f"A number from 1 to {self.max_page_size}."})
        return super().get_page_size(request)

    def paginate_queryset(self, queryset: Any, request: Request, view: "APIView | None" = None) -> list[Any] | None:
        try:
            page: list[Any] | None = super().paginate_queryset(queryset, request, view)
        except (exceptions.NotFound, DjangoValidationError, ValueError, DataError):
            rule = "Not a cursor of this list: follow `next` and `previous` unchanged."
            raise ValidationError({"cursor": rule}) from None
        if UNKNOWN_SCHEME in request.META:  # a link with the wrong scheme leads nowhere
            self.base_url = request.get_full_path()
        return page
