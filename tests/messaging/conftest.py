"""The probe: a consumer for the protocol's own tests, there for as long as a test lasts."""

from collections.abc import Iterator

import pytest

from shop.messaging import consumers
from tests.harness import Shop
from tests.messaging.probe import CONSUMER, NAME, SOURCE, Probe


@pytest.fixture
def probe(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Probe]:
    """A consumer of the inventory's ``StockChanged`` that the test can bend."""
    monkeypatch.setitem(consumers._consumers, (NAME, SOURCE), CONSUMER)
    probe = Probe(shop.deliveries)
    yield probe
    probe.execute("DROP TABLE probe_note")
