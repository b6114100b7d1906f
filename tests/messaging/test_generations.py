"""A context may react to a source by several reactions, and a second generation of one runs beside the first."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from inventory.models import Subscription
from readmodel.models import Cursor, Generation
from shop.messaging import consumers
from shop.messaging.batches import Batch, BatchMessage
from shop.messaging.consumer.generations import (
    UnknownGeneration,
    abandon_generation,
    ask_to_subscribe,
    begin_generation,
)
from shop.messaging.consumer.receiving import receive
from shop.messaging.consumers import Consumer, register
from shop.messaging.producer.relay import relay, subscribe
from tests.messaging.probe import CONSUMER, NAME, SOURCE, Probe, due_now, in_lane

A, B = in_lane(0, 2)


class Copies:
    """The probe's consumer, which keeps what each of its generations was given apart."""

    def __init__(self, probe: Probe, consumer: Consumer) -> None:
        self.probe = probe
        self.given: dict[int, list[int]] = {}
        self.consumer = replace(consumer, react=self._react)

    def _react(self, batch: Batch) -> None:
        self.given.setdefault(batch.generation, []).extend(event.data.available for event in batch)  # type: ignore[attr-defined]

    def drain(self) -> None:
        while relay(SOURCE) or self.probe.deliveries.waiting:
            while self.probe.deliveries.waiting:
                delivery = self.probe.deliveries.waiting.pop(0)
                if delivery.task == CONSUMER.task:
                    receive(self.consumer, BatchMessage.read(delivery.kwargs))
                else:
                    delivery.deliver()


@pytest.fixture
def copies(probe: Probe) -> Copies:
    return Copies(probe, CONSUMER)


def positions(generation: int) -> set[int]:
    return set(Cursor.objects.filter(source=SOURCE, generation=generation).values_list("position", flat=True))


def subscribed() -> set[int]:
    return set(Subscription.objects.filter(consumer=NAME).values_list("generation", flat=True))


def test_a_second_generation_hears_everything_from_the_beginning_while_the_first_goes_on(
    probe: Probe, copies: Copies
) -> None:
    probe.publish(A, B, A)
    copies.drain()
    assert begin_generation(CONSUMER) == 2
    probe.publish(B)
    copies.drain()
    assert copies.given == {1: [1, 2, 3, 4], 2: [1, 2, 3, 4]}
    assert positions(1) == positions(2)
    assert subscribed() == {1, 2}


def test_each_generation_has_positions_of_its_own(probe: Probe, copies: Copies) -> None:
    probe.publish(A, B)
    copies.drain()
    begin_generation(CONSUMER)
    copies.drain()
    Cursor.objects.filter(source=SOURCE, generation=2).update(position=0)
    due_now()
    copies.drain()
    assert copies.given == {1: [1, 2], 2: [1, 2, 1, 2]}


def test_an_abandoned_generation_leaves_nothing_behind_and_its_number_is_not_used_again(
    probe: Probe, copies: Copies
) -> None:
    begin_generation(CONSUMER)
    probe.publish(A)
    copies.drain()
    abandon_generation(CONSUMER, 2)
    assert positions(2) == set()
    due_now()
    copies.drain()
    assert subscribed() == {1}
    assert positions(2) == set(), "a batch that was still on its way makes no cursors"
    assert begin_generation(CONSUMER) == 3
    with pytest.raises(UnknownGeneration, match="no running generation 2"):
        abandon_generation(CONSUMER, 2)


def test_a_batch_of_an_abandoned_generation_is_not_applied(probe: Probe, copies: Copies) -> None:
    begin_generation(CONSUMER)
    probe.deliveries.run()
    probe.publish(A)
    relay(SOURCE)
    batches = [each for each in probe.deliveries.take(NAME) if each.kwargs["generation"] == 2 and each.kwargs["events"]]
    abandon_generation(CONSUMER, 2)
    for batch in batches:
        receive(copies.consumer, BatchMessage.read(batch.kwargs))
    assert [each.kwargs["gone"] for each in probe.deliveries.take("inventory.relay", generation=2)] == [True]
    assert 2 not in copies.given


def test_a_generation_asks_again_until_a_restored_producer_knows_it(probe: Probe, copies: Copies) -> None:
    begin_generation(CONSUMER)
    copies.drain()
    Subscription.objects.filter(generation=2).delete()
    assert ask_to_subscribe(NAME) == 1
    probe.publish(A)
    copies.drain()
    assert copies.given == {1: [1], 2: [1]}


def test_asking_twice_subscribes_once(probe: Probe, copies: Copies) -> None:
    begin_generation(CONSUMER)
    ask_to_subscribe(NAME)
    copies.drain()
    assert Subscription.objects.filter(consumer=NAME, generation=2).count() == 4
    assert Generation.objects.get().number == 2


# Several reactions of a context


@pytest.fixture
def another(probe: Probe, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[int]]:
    """A second reaction of the probe's context to the same source; call it for what it was given."""
    given: list[int] = []
    reaction = replace(
        CONSUMER, reaction="another", react=lambda batch: given.extend(event.data.available for event in batch)
    )
    with monkeypatch.context() as patch:
        patch.setattr(consumers, "_consumers", dict(consumers._consumers))
        register(reaction)
        everyone = consumers._consumers
    monkeypatch.setattr(consumers, "_consumers", everyone)

    def drain() -> list[int]:
        while relay(SOURCE) or probe.deliveries.waiting:
            while probe.deliveries.waiting:
                delivery = probe.deliveries.waiting.pop(0)
                if delivery.task == CONSUMER.task:
                    mine = delivery.kwargs["id"] in _batches_of(reaction.name)
                    receive(reaction if mine else CONSUMER, BatchMessage.read(delivery.kwargs))
                else:
                    delivery.deliver()
        return given

    return drain


def _batches_of(consumer: str) -> set[str]:
    return {str(row.batch) for row in Subscription.objects.filter(consumer=consumer)}


def test_two_reactions_of_a_context_to_one_source_have_positions_of_their_own(
    probe: Probe, another: Callable[[], list[int]]
) -> None:
    probe.publish(A, B)
    assert another() == probe.noted() == [1, 2]
    names = set(Cursor.objects.filter(source=SOURCE).values_list("consumer", flat=True))
    assert names == {NAME, f"{NAME}.another"}


def test_a_second_reaction_without_a_name_of_its_own_is_refused(probe: Probe) -> None:
    with pytest.raises(ValueError, match="give this one a name"):
        register(CONSUMER)


def test_the_first_generation_is_subscribed_though_a_second_was_first(copies: Copies) -> None:
    """A producer restored from before the consumer was there is asked for the second before it knows the first."""
    subscribe(SOURCE, consumer=NAME, generation=2)
    copies.probe.publish(A)
    relay(SOURCE)
    assert subscribed() == {1, 2}
