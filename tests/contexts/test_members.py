"""Members and their users."""

import pytest

from shop.members.models import Member
from shop.members.services import NameTaken, join
from tests.harness import Shop


@pytest.mark.parametrize("taken", ["bob", "\N{FULLWIDTH LATIN SMALL LETTER B}ob"])
def test_a_name_that_is_taken_is_refused_however_it_is_written(shop: Shop, taken: str) -> None:
    shop.member("bob")
    with pytest.raises(NameTaken, match="'bob'"):
        join(username=taken, name="Another Bob")
    assert Member.objects.get().name == "Bob"
