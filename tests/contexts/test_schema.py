"""The API is what its schema says: schemathesis makes requests that the schema allows, and some that it forbids.

Whoever asks: no answer is a 5xx, none has a status, content type, header or shape that the schema does not give, and
nothing is accepted that the schema forbids.
"""

import re
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from orders.models import Order
from shop.api.converters import AnyCaseUUID
from shop.marketing.models import Campaign
from shop.values import SKU_PATTERN
from shop.wsgi import application
from tests.contexts.api import client_of, staff
from tests.harness import Shop

EXAMPLES = {"staff": 12, "member": 8, "nobody": 3}  # requests for each operation and mode

NOTHING_TO_FORBID = {"GET /api/members/me/"}  # it has neither parameters nor a body

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
]

# What Django, its middleware and the server add to any answer.
OF_HTTP = {
    "content-type", "content-length", "vary", "allow", "cache-control", "x-frame-options", "x-content-type-options",
    "referrer-policy", "cross-origin-opener-policy", "content-security-policy", "expires", "traceparent",
    "set-cookie",  # it takes back a session cookie that leads nowhere, which schemathesis makes up
}  # fmt: skip


VALID = re.compile(rf"{SKU_PATTERN}|{AnyCaseUUID.regex}")  # a part of an address that may be replaced by a known one


@pytest.fixture(params=EXAMPLES)
def asker(request: pytest.FixtureRequest, shop: Shop) -> tuple[APIClient, int]:
    """Each asker in turn, and how much it asks, in a shop where there is something to find."""
    member = shop.member()
    shop.sell("phone", stock=5)
    shop.drain()
    shop.campaign("phone")
    shop.drain()
    shop.place(("phone", 1), member_id=member.pk)
    shop.drain()
    roles = ("catalogue", "stock", "orders", "marketing", "credit")
    askers = {"staff": lambda: staff(*roles), "member": lambda: client_of(member)}
    return askers.get(request.param, client_of)(), EXAMPLES[request.param]


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode), ids=["allowed", "forbidden"])
def test_the_api_is_what_its_schema_says(asker: tuple[APIClient, int], mode: GenerationMode) -> None:
    client, examples = asker
    order = Order.objects.get()
    known_ids = {
        "sku": "phone",
        "order_id": str(order.pk),
        "member_id": order.member_id,
        "campaign_id": str(Campaign.objects.get().pk),
    }
    schema = schemathesis.openapi.from_wsgi("/api/schema/", application)
    headers = {"Authorization": client._credentials.get("HTTP_AUTHORIZATION", "Token none")}
    for found in schema.get_all_operations():
        operation = found.ok()
        if mode is GenerationMode.NEGATIVE and operation.label in NOTHING_TO_FORBID:
            continue

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=mode), st.booleans())
        def ask(case: Any, known: bool) -> None:
            if known:
                case.path_parameters = {
                    name: known_ids[name] if VALID.fullmatch(str(value)) else value
                    for name, value in case.path_parameters.items()
                }
            response = case.call(headers=headers)
            case.validate_response(response, checks=CHECKS)
            documented = case.operation.definition.raw["responses"].get(str(response.status_code), {})
            names = {name.lower() for name in documented.get("headers", ())}
            assert {name.lower() for name in response.headers} <= names | OF_HTTP

        ask()
