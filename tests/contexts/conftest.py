"""The contexts' rules are tested on a shop that is running: the messaging's own tests begin with its first batch."""

import pytest

from tests.harness import Shop


@pytest.fixture
def shop(running_shop: Shop) -> Shop:
    return running_shop
