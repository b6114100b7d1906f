"""How drf-spectacular writes the API's schema."""

from typing import Any

from shop.values import SKU_PATTERN

SETTINGS: dict[str, Any] = {
    "TITLE": "shop",
    "DESCRIPTION": "Orders and stock of an event-driven shop. Amounts are integers of the currency's minor unit.",
    "VERSION": "1.2.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,  # what is refused in a request may be added to an answer
    "ENFORCE_NON_BLANK_FIELDS": True,
    "PATH_CONVERTER_OVERRIDES": {  # of shop/api/converters.py
        "sku": {"type": "string", "pattern": SKU_PATTERN},
        "order": {"type": "string", "format": "uuid"},
        "member": {"type": "integer", "minimum": 0, "maximum": 999_999_999_999_999_999},
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "shop.api.problems.describe_problems",
    ],
    "SWAGGER_UI_DIST": "SIDECAR",  # the docs page's scripts, without a network
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}
