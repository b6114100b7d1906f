"""The producer's turns: append, relay, take an answer, subscribe, fence.

A turn is a generator of (step, state): the state is what a process that dies at this step leaves behind, and the last
state is what the turn comes to. What an open transaction has written is therefore in no state but the next one.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, combinations
from typing import NamedTuple

from tests.model.rules import Rule
from tests.model.states import (
    OURS,
    Answer,
    BatchMessage,
    Claim,
    Event,
    InFlight,
    Part,
    Planned,
    Producer,
    Release,
    State,
    Step,
    Subscribe,
    Subscription,
    change_one,
    covers,
    send,
    without,
)

Turn = Iterator[tuple[Step, State]]


class Page(NamedTuple):
    """Rows read in one go, a wanted one among them; without any, ``start`` is the last row of the lane."""

    start: int
    rows: list[Event]


FENCE = 10  # a fence moves the sequence to the next multiple; no configuration hands out so many positions between two


class ProducerSide:
    """The producer under a set of rules."""

    def __init__(self, *, rules: frozenset[Rule], plan: tuple[Planned, ...], page: int) -> None:
        self.rules = rules
        self.plan = plan
        self.page = page
        self.lanes = sorted({planned.lane for planned in plan})

    # The log

    def may_append(self, state: State, number: int) -> bool:
        """Whether the locks are free: the aggregate's row, and the lane's."""
        planned = self.plan[number]
        return not any(
            event.key == planned.key or (event.lane == planned.lane and Rule.LANES_ARE_LOCKED in self.rules)
            for event in state.producer.open
        )

    def append(self, state: State, number: int) -> Turn:
        """Take a position and insert the event; the transaction stays open."""
        position = state.producer.sequence + 1
        event = Event(position, self.plan[number].lane, self.plan[number].key, self.plan[number].type, number)
        producer = state.producer._replace(sequence=position)  # a sequence is not rolled back
        state = state._replace(producer=producer, highest=max(state.highest, position))
        yield Step.APPENDED, state
        yield Step.APPENDED, state._replace(producer=producer._replace(open=(*producer.open, event)))

    def commit(self, state: State, event: Event) -> State:
        """Commit an append."""
        producer = state.producer._replace(
            log=tuple(sorted((*state.producer.log, event))), open=change_one(state.producer.open, event)
        )
        return state._replace(producer=producer, todo=change_one(state.todo, event.number))

    # The relay

    def relay(self, state: State, release: Release, generation: int, *, early: bool) -> Iterator[tuple[str, Turn]]:
        """Send a generation what is due: for one lane, or for several in one message.

        :param early: send again what is still on its way, since its time-out came too soon.
        """
        rows = [row for row in state.producer.subscriptions if row.generation == generation and not row.stopped]
        for lanes in chain.from_iterable(combinations(rows, count) for count in range(1, len(rows) + 1)):
            for idle in (False, True) if not (state.broker or early) else (False,):
                chosen = [self._choose(state, release, row, idle=idle, early=early) for row in lanes]
                if all(chosen):
                    yield f"lanes {[row.lane for row in lanes]}{', idle' * idle}", self._send(state, lanes, chosen)
        for row in rows if Rule.ONE_IN_FLIGHT not in self.rules and not early else ():
            if row.batch and (more := self._page(state, release, row, start=row.batch.through)).rows:
                chosen = [self._record(state, release, row, more)]
                yield f"lane {row.lane} again", self._send(state, (row,), chosen)

    def scan(self, state: State, release: Release, row: Subscription) -> State | None:
        """Move ``scanned`` over rows that are not wanted, where nothing is sent; ``None`` if that changes nothing."""
        if row.batch or row.stopped:
            return None
        page = self._page(state, release, row)
        scanned = self._scanned(release, row, page)
        if page.rows or scanned == row:
            return None
        return self._with(state, row, scanned)

    def _send(self, state: State, rows: Iterable[Subscription], chosen: list) -> Turn:
        before = state
        yield Step.BATCH_CHOSEN, before
        for row, (changed, _) in zip(rows, chosen, strict=True):
            state = self._with(state, row, changed)
        message = BatchMessage(
            kind="batch",
            outbox=OURS,
            generation=chosen[0][0].generation,
            epoch=state.producer.epoch if Rule.FENCE_MAKES_AN_EPOCH in self.rules else 0,
            parts=tuple(part for _, part in chosen),
        )
        if Rule.RECORDED_BEFORE_SENT not in self.rules:
            yield Step.BATCH_SENT, send(before, message)
        yield Step.BATCH_RECORDED, state
        yield Step.BATCH_SENT, send(state, message)

    def _choose(
        self, state: State, release: Release, row: Subscription, *, idle: bool, early: bool
    ) -> tuple[Subscription, Part] | None:
        """The subscription as it is recorded, and its part of the message; ``None`` if nothing is due."""
        if row.batch is None:
            page = self._page(state, release, row)
            return None if early or idle == bool(page.rows) else self._record(state, release, row, page)
        if idle or early != (row.batch.id in ids_of(state)):
            return None
        if not release.versed:  # read from ``scanned``, filtered by what this release wants
            return row, self._part(state, row, row.batch, release.wants, start=row.scanned)
        drops = {Rule.TOO_NARROW_IS_DROPPED, Rule.BATCH_KEEPS_ITS_TYPES} <= self.rules
        if drops and not (row.types and covers(row.types, release.wants)):
            furthest = max(row.furthest, row.batch.through)  # a release before claims did not note it
            dropped = row._replace(batch=None, types=None, scanned=row.acknowledged, claim=None, furthest=furthest)
            return self._record(state, release, dropped, self._page(state, release, dropped, end=row.batch.through))
        batch, types = row.batch, row.types or release.wants
        if Rule.RESENT_UNDER_ITS_ID not in self.rules:
            batch = batch._replace(id=self._new_id(state))
        if Rule.RESENT_WITHIN_ITS_BOUNDS not in self.rules:
            rows = self._rows(state, row, start=batch.after, end=state.highest)
            batch = batch._replace(through=rows[-1].position if rows else batch.through)
        part = self._part(state, row, batch, types, start=batch.after)
        if Rule.BATCH_KEEPS_ITS_TYPES not in self.rules:
            part = part._replace(types=release.wants)
        return row._replace(batch=batch), part

    def _page(
        self, state: State, release: Release, row: Subscription, start: int | None = None, end: int | None = None
    ) -> Page:
        """The next rows with a wanted one among them; ``start`` is then where the page begins, else where rows end."""
        start = self._start(release, row) if start is None else start
        end = state.producer.sequence if end is None else end
        while rows := self._rows(state, row, start=start, end=end)[: self.page]:
            if any(event.type in release.wants for event in rows):
                return Page(start, rows)
            start = rows[-1].position
        return Page(start, [])

    def _start(self, release: Release, row: Subscription) -> int:
        return row.scanned if not release.versed or self._counts(release, row) else row.acknowledged

    def _counts(self, release: Release, row: Subscription) -> bool:
        """Whether the claim tells this release that nothing is wanted between ``acknowledged`` and ``scanned``."""
        claim = row.claim
        return claim is not None and (
            (covers(claim.types, release.wants) or Rule.CLAIM_HAS_TYPES not in self.rules)
            and (claim.start <= row.acknowledged or Rule.CLAIM_REACHES_BACK not in self.rules)
            and (row.scanned <= claim.end or Rule.CLAIM_REACHES_SCANNED not in self.rules)
        )

    def _scanned(self, release: Release, row: Subscription, page: Page) -> Subscription:
        """The subscription with ``scanned`` where the page begins, and the claim that goes with it."""
        if not release.versed:
            return row._replace(scanned=page.start)
        start = row.claim.start if row.claim and self._counts(release, row) else row.acknowledged
        end = page.start
        if Rule.SCANNED_STOPS_AT_WANTED not in self.rules and page.rows:
            end = page.rows[-1].position
        return row._replace(scanned=end, claim=Claim(release.wants, start, end))

    def _record(self, state: State, release: Release, row: Subscription, page: Page) -> tuple[Subscription, Part]:
        scanned = self._scanned(release, row, page)
        through = page.rows[-1].position if page.rows else max(scanned.scanned, row.acknowledged)
        after = row.acknowledged if Rule.AFTER_IS_ACKNOWLEDGED in self.rules else page.start
        batch = InFlight(self._new_id(state), after, through)
        changed = scanned._replace(batch=batch)
        if release.versed:
            changed = changed._replace(types=release.wants, furthest=max(row.furthest, through))
        return changed, self._part(state, row, batch, release.wants, start=page.start)

    def _part(self, state: State, row: Subscription, batch: InFlight, types: str, *, start: int) -> Part:
        rows = self._rows(state, row, start=start, end=batch.through)
        events = tuple(event for event in rows if event.type in types)
        return Part(row.lane, batch.id, types, batch.after, batch.through, events)

    def _rows(self, state: State, row: Subscription, *, start: int, end: int) -> list[Event]:
        return [event for event in state.producer.log if event.lane == row.lane and start < event.position <= end]

    def _new_id(self, state: State) -> int:
        """The least id that nothing refers to: as good as a random one, and the number of states stays finite."""
        producers = filter(None, (state.producer, state.producer_backup))
        used = {row.batch.id for producer in producers for row in producer.subscriptions if row.batch} | ids_of(state)
        return next(id for id in range(1, len(used) + 2) if id not in used)

    # Answers

    def take(self, state: State, message: Answer | Subscribe, release: Release) -> Turn:
        """Take a message from the relay's queue."""
        state = without(state, message)
        if message.kind == "subscribe":
            yield from self._subscribe(state, message)
            return
        done = state
        for row in state.producer.subscriptions:
            for lane, batch, cursor in message.parts:
                if (row.generation, row.lane) == (message.generation, lane):
                    done = self._with(done, row, *self._answered(state, row, message, batch, cursor, release))
        yield Step.ACKNOWLEDGEMENT_TAKEN, state
        yield Step.ACKNOWLEDGEMENT_TAKEN, done

    def _answered(
        self, state: State, row: Subscription, message: Answer, batch: int, cursor: int, release: Release
    ) -> tuple[Subscription, ...]:
        """What an answer makes of a subscription; nothing, if it is to be deleted."""
        in_flight = row.batch is not None and row.batch.id == batch and message.outbox == OURS
        if message.kind == "refused":
            stops = in_flight or Rule.REFUSAL_IS_MATCHED not in self.rules
            return (row._replace(stopped=True) if stops else row,)
        if message.kind == "gone":
            return () if in_flight or Rule.GONE_MATCHES_THE_BATCH not in self.rules else (row,)
        if not in_flight and Rule.STALE_ANSWER_IS_IGNORED in self.rules:
            return (row,)
        producer = state.producer
        beyond = cursor > producer.sequence and Rule.BEYOND_THE_SEQUENCE_STOPS in self.rules
        unsent = (
            cursor > max(row.furthest, producer.epoch, row.batch.through if row.batch else 0)
            and Rule.BEYOND_WHAT_WAS_SENT_STOPS in self.rules
        )
        if release.versed and (beyond or unsent):
            return (row._replace(stopped=True),)
        scanned = cursor if Rule.ANSWER_SETS_BOTH in self.rules else max(cursor, row.scanned)
        taken = row._replace(acknowledged=cursor, scanned=scanned, batch=None)
        furthest = max(row.furthest, row.acknowledged)
        return (taken._replace(types=None, furthest=furthest) if release.versed else taken,)

    def _subscribe(self, state: State, message: Subscribe) -> Turn:
        rows = state.producer.subscriptions
        there = {(row.generation, row.lane) for row in rows}
        new = [Subscription(message.generation, lane) for lane in self.lanes if (message.generation, lane) not in there]
        producer = state.producer._replace(subscriptions=tuple(sorted((*rows, *new), key=lambda row: row[:2])))
        yield Step.SUBSCRIBED, state._replace(producer=producer)

    # Restores

    def fence(self, state: State) -> Turn:
        """Begin a new epoch at a position that no branch of history has handed out."""
        producer, rules = state.producer, self.rules
        jump = (state.highest // FENCE + 1) * FENCE if Rule.FENCE_JUMPS in rules else producer.sequence + 1
        moved = producer._replace(sequence=jump)
        state = state._replace(highest=max(state.highest, jump))
        yield Step.FENCED, state._replace(producer=moved)
        rows = producer.subscriptions
        if Rule.FENCE_FORGETS_BATCHES in rules:
            rows = tuple(row._replace(batch=None, types=None) for row in rows)
        rows = tuple(row._replace(stopped=False) for row in rows)
        yield Step.FENCED, state._replace(producer=moved._replace(epoch=jump, moved=False, subscriptions=rows))

    def _with(self, state: State, row: Subscription, *changed: Subscription) -> State:
        producer: Producer = state.producer
        return state._replace(
            producer=producer._replace(subscriptions=change_one(producer.subscriptions, row, *changed))
        )


def ids_of(state: State) -> set[int]:
    """The batches that are on their way, or whose answers are."""
    used: set[int] = set()
    for message in (*state.broker, *(worker.message for worker in state.workers)):
        if message.kind == "batch":
            used |= {part.id for part in message.parts}
        elif message.kind != "subscribe":
            used |= {batch for _, batch, _ in message.parts}
    return used
