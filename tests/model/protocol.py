"""The protocol as a whole: what may happen next in a state, what must never be true of one, and when all is done."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from tests.model.consumer import ConsumerSide, cursor_of
from tests.model.faults import describe, faults, repairs, spend, subscriptions_of
from tests.model.producer import ProducerSide, Turn
from tests.model.rules import ALL, Harm, Rule
from tests.model.states import (
    STRANGER,
    Budget,
    Consumer,
    Cursor,
    Event,
    Generation,
    Planned,
    Producer,
    Release,
    State,
    Step,
    Subscribe,
    Subscription,
    change_one,
    send,
)


class Move(NamedTuple):
    """Something that may happen next."""

    name: str
    state: State
    fair: bool
    """Whether it happens sooner or later where it stays possible; faults need never happen."""


ONLY_A = Release("A")


@dataclass(frozen=True)
class Configuration:
    """A plan of events, the faults that may disturb it, and the rules in force."""

    name: str
    plan: tuple[Planned, ...]
    budget: Budget
    rules: frozenset[Rule] = ALL
    page: int = 2
    """Rows that the relay reads in one go."""
    room: int = 2
    """Messages that the broker holds."""
    old: Release = ONLY_A
    new: Release = ONLY_A
    """The releases before and after an upgrade of each side, in either order; the same: no upgrade."""
    old_receiver: Release | None = None
    """The workers' release before the upgrade, where it is not the relays'."""
    poison: frozenset[int] = frozenset()
    """The events that fail until they are mended."""
    asks: bool = False
    """Whether generations ask to be subscribed; else they are, and stay so."""
    hasty: bool = False
    """Whether time-outs are always shorter than a round trip: a batch is sent again before its answer is taken."""
    unnoticed: bool = False
    """Whether the producer is restored in a way that keeps the server's identity, and nobody runs the fence."""
    sides: tuple[ProducerSide, ConsumerSide] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        producer = ProducerSide(rules=self.rules, plan=self.plan, page=self.page)
        consumer = ConsumerSide(rules=self.rules, poison=self.poison)
        object.__setattr__(self, "sides", (producer, consumer))

    def start(self) -> State:
        """Nothing has happened yet; one generation is there."""
        producer, _ = self.sides
        rows = () if self.asks else tuple(Subscription(1, lane) for lane in producer.lanes)
        return State(
            producer=Producer(subscriptions=rows),
            consumer=Consumer((Generation(1, tuple(Cursor(lane) for lane in producer.lanes)),)),
            budget=self.budget,
            todo=tuple(range(len(self.plan))),
            relays=(self.old,),
            receivers=(self.old_receiver or self.old,),
        )

    # What may happen next

    def moves(self, state: State, seen: set[Step]) -> Iterator[Move]:
        """Everything that may happen next; ``seen`` collects the steps reached."""
        turns = ((name, turn, True) for name, turn in self._turns(state))
        early = ((name, turn, False) for name, turn in self._early(state))
        for name, turn, fair in chain(turns, early):
            last = None
            for step, left in turn:
                seen.add(step)
                if last is not None and state.budget.crash:
                    yield Move(f"{name}; dies at {last[0].name}", spend(last[1], "crash"), False)
                last = step, left
            if last is not None:
                yield Move(name, last[1], fair)
        for name, after in self._acts(state):
            yield Move(name, after, fair=True)
        happenings = faults(
            state,
            room=self.room,
            fences=not self.unnoticed,
            reuses_numbers=Rule.NEVER_RENUMBERED not in self.rules,
            shares_cursors=Rule.GENERATION_HAS_ITS_CURSORS not in self.rules,
        )
        for name, after in (*happenings, *self._slow(state)):
            yield Move(name, after, fair=False)

    def _turns(self, state: State) -> Iterator[tuple[str, Turn]]:
        producer, consumer = self.sides
        answers = any(message.kind != "batch" for message in state.broker)
        if state.producer.moved:
            yield "fence", producer.fence(state)
        if not state.producer.moved or Rule.FENCED_BEFORE_WORK not in self.rules:
            yield from self._relay(state, early=False)
            if self.hasty and answers:
                yield from self._relay(state, early=True)
            for message in dict.fromkeys(state.broker) if self._in_time(state) else ():
                if message.kind != "batch":
                    for release in state.relays:
                        yield f"relay {release.wants} takes {describe(message)}", producer.take(state, message, release)
            for number in self._appendable(state):
                yield number[1], self._append_and_commit(state, number[0])
        for message in dict.fromkeys(state.broker):
            if message.kind == "batch" and not (self.hasty and answers):
                for release in state.receivers:
                    begun, worker = consumer.begin(state, message, release)
                    name = f"worker {release.wants} takes {describe(message)}"
                    yield name, consumer.work(begun, worker) if worker else iter([(Step.ATTEMPT_RECORDED, begun)])
        for worker in state.workers:
            resumed = state._replace(workers=change_one(state.workers, worker))
            yield f"slow worker goes on with {describe(worker.message)}", self._finish(resumed, worker)

    def _in_time(self, state: State) -> bool:
        """Whether answers can be taken before the time-out."""
        in_flight = any(row.batch for row in state.producer.subscriptions)
        return not (self.hasty and in_flight) or any(message.kind == "batch" for message in state.broker)

    def _early(self, state: State) -> Iterator[tuple[str, Turn]]:
        if state.budget.copy and (not state.producer.moved or Rule.FENCED_BEFORE_WORK not in self.rules):
            yield from self._relay(spend(state, "copy"), early=True)

    def _relay(self, state: State, *, early: bool) -> Iterator[tuple[str, Turn]]:
        if len(state.broker) >= self.room:
            return
        for release in state.relays:
            for generation in dict.fromkeys(row.generation for row in state.producer.subscriptions):
                for name, turn in self.sides[0].relay(state, release, generation, early=early):
                    when = " early" if early else ""
                    yield f"relay {release.wants} sends generation {generation}{when} {name}", turn

    def _acts(self, state: State) -> Iterator[tuple[str, State]]:
        """What is a single step for everyone else, and happens sooner or later."""
        producer, consumer = self.sides
        for event in state.producer.open:
            yield f"commit {event.number}", producer.commit(state, event)
        for release in state.relays if not state.producer.moved else ():
            for row in state.producer.subscriptions:
                if scanned := producer.scan(state, release, row):
                    yield f"relay {release.wants} scans lane {row.lane}", scanned
        for generation in state.consumer.generations:
            for key in dict.fromkeys(letter.key for letter in generation.letters):
                yield f"letters of {key} retried", consumer.retry(state, generation, key)
        yield from self._asks(state)
        if not self.unnoticed:
            yield from repairs(state)
        for side, releases in (("relays", state.relays), ("receivers", state.receivers)):
            if releases != (self.new,):
                after = (self.new,) if len(releases) == 2 else (*releases, self.new)
                yield f"{side} upgraded: {len(after)} releases", state._replace(**{side: after})

    def _asks(self, state: State) -> Iterator[tuple[str, State]]:
        if not self.asks or len(state.broker) >= self.room:
            return
        for generation in state.consumer.generations:
            message = Subscribe("subscribe", "ours", generation.number)
            silent = not generation.heard or Rule.ASKS_WHILE_NOTHING_COMES in self.rules
            if silent and message not in state.broker:
                yield f"generation {generation.number} asks to be subscribed", send(state, message)

    def _slow(self, state: State) -> Iterator[tuple[str, State]]:
        """A process that stands still between two transactions, or in one, while the others go on."""
        if not state.budget.slow:
            return
        producer, consumer = self.sides
        if not state.producer.moved:
            for number, append in self._appendable(state):
                *_, (_, opened) = producer.append(state, number)
                yield f"{append} stays open", spend(opened, "slow")
                break
        for message in dict.fromkeys(state.broker):
            if message.kind == "batch":
                for release in state.receivers:
                    begun, worker = consumer.begin(state, message, release)
                    if worker:
                        begun = begun._replace(workers=(*begun.workers, worker))
                        yield f"slow worker {release.wants} begins {describe(message)}", spend(begun, "slow")

    def _finish(self, state: State, worker) -> Turn:
        return self.sides[1].work(state, worker)

    def _appendable(self, state: State) -> Iterator[tuple[int, str]]:
        """The next event of the plan whose locks are free."""
        waiting = {event.number for event in state.producer.open}
        for number in state.todo:
            if number not in waiting and self.sides[0].may_append(state, number):
                yield number, f"append {number}{self.plan[number].key}{self.plan[number].type}"
                return

    def _append_and_commit(self, state: State, number: int) -> Turn:
        (step, burnt), (_, opened) = self.sides[0].append(state, number)
        yield step, burnt
        event = next(event for event in opened.producer.open if event.number == number)
        yield step, self.sides[0].commit(opened, event)

    # What must never be true

    def harm(self, state: State) -> Harm | None:
        """What is wrong in a state, if anything is."""
        for generation in state.consumer.generations:
            applied = generation.applied
            if any(number >= STRANGER for number in applied):
                return Harm.FOREIGN
            if len(set(applied)) < len(applied):
                return Harm.DOUBLED
            by_key: dict[str, int] = {}
            for number in applied:
                key = self.plan[number].key
                if by_key.get(key, -1) > number:
                    return Harm.OUT_OF_ORDER
                by_key[key] = number
            if generation.undone and not self.unnoticed:
                return Harm.UNDONE
            if any(
                event.position <= self._reached(state, generation, event) for event in self._missing(state, generation)
            ):
                return Harm.LOST
        return None

    def _reached(self, state: State, generation: Generation, event: Event) -> int:
        """The position up to which nothing may be missing in the event's lane."""
        if not self.unnoticed:
            return cursor_of(generation, event.lane).position
        # The cursor may be ahead of a log that fell back: lost is what will not be sent, where no lane stopped.
        rows = state.producer.subscriptions
        here = [
            row for row in rows if (row.generation, row.lane) == (generation.number, event.lane) and not row.stopped
        ]
        return min((row.acknowledged for row in here), default=0)

    def _missing(self, state: State, generation: Generation) -> Iterator[Event]:
        """The committed events that are wanted and neither applied nor parked."""
        parked = {letter.number for letter in generation.letters}
        since = {cursor.lane: self._since(cursor) for cursor in generation.cursors}
        for event in state.producer.log:
            wanted = since[event.lane].get(event.type)
            dealt_with = event.number in parked or event.number in generation.applied
            if wanted is not None and event.position > wanted and not dealt_with:
                yield event

    def _since(self, cursor: Cursor) -> dict[str, int]:
        """From where on each type is wanted: the newest ones from the first batch that a new worker applies."""
        wanted = dict.fromkeys(self.new.wants, cursor.position) | dict.fromkeys(self.old.wants, 0)
        return wanted | dict(zip(cursor.types, cursor.since, strict=True))

    # When all is done

    def done(self, state: State) -> bool:
        """Whether everything is appended, applied, acknowledged and repaired, on the newest releases."""
        rows = state.producer.subscriptions
        if (
            state.todo
            or state.producer.moved
            or state.workers
            or (state.relays, state.receivers) != ((self.new,), (self.new,))
            or any(row.batch or row.stopped for row in rows)
        ):
            return False
        generations = state.consumer.generations
        pairs = {(one.number, cursor.lane): cursor for one in generations for cursor in one.cursors}
        return (
            subscriptions_of(state) == set(pairs)
            and all(row.acknowledged == pairs[row[:2]].position for row in rows)
            and not any(one.letters or any(self._missing(state, one)) for one in generations)
        )
