"""The probe: a consumer for the protocol's own tests, there for as long as a test lasts."""

from collections.abc import Iterator

import pytest

from shop.line_limits import LineLimit
from shop.messaging import consumers, signing
from tests.harness import Shop
from tests.messaging.probe import CONSUMER, NAME, SOURCE, Probe


@pytest.fixture(autouse=True)
def _every_refusal_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """What earlier tests logged counts for none of the later ones."""
    monkeypatch.setattr(signing, "refusals", LineLimit(lines=10, seconds=60))


@pytest.fixture
def probe(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[Probe]:
    """A consumer of the inventory's ``StockChanged`` that the test can bend."""
    monkeypatch.setitem(consumers._consumers, (NAME, SOURCE), CONSUMER)
    probe = Probe(shop.deliveries)
    yield probe
    probe.execute("DROP TABLE probe_note")
