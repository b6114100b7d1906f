"""Pages of a list."""

import re
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


_size = re.compile("[1-9][0-9]{0,2}")


class Pages(pagination.CursorPagination):
    """``{next, previous, results}``, in the view's ``ordering``; ``?page_size=`` up to 500."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 500

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: "APIView") -> tuple[str, ...]:
        ordering: tuple[str, ...] = view.ordering  # type: ignore[attr-defined]
        return ordering

    def get_page_size(self, request: Request) -> int | None:
        size = request.query_params.get("page_size")
        if size is None:
            return self.page_size
        if not _size.fullmatch(size) or int(size) > self.max_page_size:
            raise ValidationError({"page_size": f"It must be a number from 1 to {self.max_page_size}."})
        return int(size)

    def get_schema_operation_parameters(self, view: "APIView") -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for parameter in parameters:
            if parameter["name"] == "page_size":
                parameter["schema"] |= {"minimum": 1, "maximum": self.max_page_size, "default": self.page_size}
        return parameters

    def paginate_queryset(self, queryset: Any, request: Request, view: "APIView | None" = None) -> list[Any] | None:
        try:
            page: list[Any] | None = super().paginate_queryset(queryset, request, view)
        except (exceptions.NotFound, DjangoValidationError, ValueError, DataError):
            if self.cursor_query_param not in request.query_params:
                raise
            rule = "Not a cursor of this list: follow `next` and `previous` unchanged."
            raise ValidationError({"cursor": rule}) from None
        if UNKNOWN_SCHEME in request.META:  # a link with the wrong scheme leads nowhere
            self.base_url = request.get_full_path()
        return page
