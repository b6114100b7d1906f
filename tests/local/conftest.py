"""Real servers, of instances that exist for one test module only."""

from collections.abc import Iterator

import pytest

from shop.local.servers import lifecycle


@pytest.fixture(scope="module")
def instance(request: pytest.FixtureRequest) -> Iterator[str]:
    name = "test-local-" + request.module.__name__.rpartition("_")[2]
    lifecycle.clean(name)
    yield name
    lifecycle.clean(name)
