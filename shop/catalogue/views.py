"""The catalogue over HTTP, for its staff."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.urls import reverse
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import generics, serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from shop.api.authentication import HasNeeded
from shop.api.bodies import Body
from shop.api.fields import Flag, JSONObject, Sku, Text, Whole, valid_sku
from shop.api.filters import FlagFilter, TextFilter
from shop.api.idempotency import idempotent
from shop.catalogue import policies, queries, services
from shop.catalogue.models import IdempotencyKey, Product
from shop.values import MAX_PRICE

BODY_LIMIT = 256 * 1024  # bytes: the longest description and attributes, were they written as \\u escapes


class Attributes(JSONObject):
    """A product's attributes."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if fault := policies.fault_of_attributes(data):
            raise serializers.ValidationError(fault)
        return dict(data)

    def to_representation(self, value: Any) -> Any:
        return value  # whatever an older release stored


class ProductFields(Body):
    """The fields of a product that can be changed."""

    name = Text(max_length=200)
    description = Text(max_length=policies.MAX_DESCRIPTION, allow_blank=True, default="")
    category = Text(max_length=100, allow_blank=True, default="")
    attributes = Attributes(
        default=dict,
        help_text=f"Whatever else describes it: at most {policies.MAX_ATTRIBUTES_VALUES} values at all depths, "
        f"{policies.MAX_ATTRIBUTES_DEPTH} levels, {policies.MAX_ATTRIBUTES_BYTES} bytes.",
    )
    price = Whole(min_value=0, max_value=MAX_PRICE, help_text="In the minor unit of the shop's currency.")
    listed = Flag(default=True, help_text="Whether it can be bought.")


class ProductShape(ProductFields):
    """All fields of a product, also those of a new one."""

    sku = Sku()


class ProductFilter(filters.FilterSet):
    category = TextFilter()
    listed = FlagFilter()

    class Meta:
        model = Product
        fields = ("category", "listed")


class Products(generics.ListAPIView[Product]):
    permission_classes = (HasNeeded,)
    needs: ClassVar = {"GET": "catalogue.view_product", "POST": "catalogue.add_product"}
    body_limit = BODY_LIMIT
    serializer_class = ProductShape
    filterset_class = ProductFilter
    ordering = ("sku",)

    def get_queryset(self) -> "QuerySet[Product]":
        return queries.products()

    @extend_schema(operation_id="catalogue_products_list")
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List the catalogue, by SKU."""
        return self.list(request)

    @extend_schema(
        operation_id="catalogue_products_add",
        request=ProductShape,
        parameters=[OpenApiParameter("Location", location=OpenApiParameter.HEADER, response=[201])],
        responses={201: ProductShape, 409: OpenApiResponse(None, "The catalogue has a product with this SKU.")},
    )
    @idempotent(IdempotencyKey)
    def post(self, request: Request) -> Response:
        """Add a product."""
        body = ProductShape(data=request.data)
        body.is_valid(raise_exception=True)
        product = services.add_product(**body.validated_data)
        location = reverse("product", args=[product.sku])
        return Response(ProductShape(product).data, status=201, headers={"Location": location})


class ProductDetail(APIView):
    permission_classes = (HasNeeded,)
    needs: ClassVar = {"GET": "catalogue.view_product", "PATCH": "catalogue.change_product"}
    body_limit = BODY_LIMIT

    @extend_schema(operation_id="catalogue_products_retrieve", responses=ProductShape)
    def get(self, request: Request, sku: str) -> Response:
        """Retrieve a product."""
        return Response(ProductShape(queries.product(valid_sku(sku))).data)

    @extend_schema(operation_id="catalogue_products_change", request=ProductFields, responses=ProductShape)
    @idempotent(IdempotencyKey)
    def patch(self, request: Request, sku: str) -> Response:
        """Change some fields of a product; `listed` puts it on sale or takes it off."""
        body = ProductFields(data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        product = services.change_product(sku=valid_sku(sku), **body.validated_data)
        return Response(ProductShape(product).data)
