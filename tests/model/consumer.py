"""The consumer's turns: receive a batch, apply it in pieces, answer; and what operators do about dead letters.

A turn is a generator of (step, state), as the producer's are.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tests.model.producer import Turn
from tests.model.rules import Rule
from tests.model.states import (
    OURS,
    STRANGER,
    Answer,
    BatchMessage,
    Cursor,
    Event,
    Generation,
    Part,
    Release,
    State,
    Step,
    Worker,
    change_one,
    covers,
    send,
    without,
)


class Judged(NamedTuple):
    """What becomes of one lane's part of a message."""

    verdict: str
    """``refused``, ``acknowledged``, ``fit``, ``left`` alone, or ``stopped``."""
    cursor: Cursor


class ConsumerSide:
    """The consumer under a set of rules."""

    def __init__(self, *, rules: frozenset[Rule], poison: frozenset[int]) -> None:
        self.rules = rules
        self.poison = poison

    def begin(self, state: State, message: BatchMessage, release: Release) -> tuple[State, Worker | None]:
        """Take a message and judge each of its lanes; the worker that goes on, ``None`` if that was all."""
        state = without(state, message)
        generation = generation_of(state, message.generation)
        if generation is None:
            if Rule.GONE_IS_ANSWERED in self.rules:
                state = self._answer(state, message, "gone", [(part.lane, part.id, 0) for part in message.parts])
            return state, None
        begun = generation
        if message.outbox == OURS or Rule.FOREIGN_IS_REFUSED not in self.rules:
            begun = begun._replace(heard=True)
        judged = []
        for part in message.parts:
            cursor = cursor_of(begun, part.lane)
            verdict = self._judge(message, part, cursor, release)
            kept = cursor
            if verdict in ("fit", "acknowledged"):
                kept = cursor._replace(answered=max(cursor.answered, message.epoch))
            if verdict == "fit" or (verdict == "acknowledged" and Rule.EPOCH_IS_KEPT_FOR_DUPLICATES in self.rules):
                kept = self._accepted(kept, message)
            begun = begun._replace(cursors=change_one(begun.cursors, cursor, kept))
            judged.append((part, Judged(verdict, kept)))
        state = _keep(state, generation, begun)
        if any(verdict.verdict == "refused" for _, verdict in judged):
            return self._answer(state, message, "refused", [(part.lane, part.id, 0) for part in message.parts]), None
        answers = tuple(
            (part.lane, part.id, one.cursor.position) for part, one in judged if one.verdict == "acknowledged"
        )
        fit = tuple(part for part, one in judged if one.verdict == "fit")
        cursors = tuple(one.cursor for _, one in judged if one.verdict == "fit")
        if not fit:
            return (self._answer(state, message, "acknowledged", answers) if answers else state), None
        return state, Worker(message, release, fit, answers, cursors)

    def work(self, state: State, worker: Worker) -> Turn:
        """Apply what fits, and answer."""
        yield Step.ATTEMPT_RECORDED, state
        answers = {lane: (lane, id, cursor) for lane, id, cursor in worker.answers}
        begun = worker.begun
        pieces = self._pieces(state, worker)
        for number, piece in enumerate(pieces):
            generation = generation_of(state, worker.message.generation)
            if generation is None or not self._unmoved(generation, begun):
                return
            ends = self._ends(worker, pieces, number)
            if any(event.number in self.poison for event in piece):
                letters = tuple(sorted((*generation.letters, *piece)))
                applied = generation._replace(letters=letters)
                yield Step.LETTER_PARKED, state
            else:
                applied = self._apply(state, generation, worker.message, piece)
                if Rule.CURSOR_MOVES_WITH_EFFECTS not in self.rules:
                    state, generation = _keep(state, generation, applied), applied
                yield Step.PIECE_APPLIED, state
            moved = self._move(applied, worker, ends, piece)
            yield Step.CURSOR_MOVED, state
            state = _keep(state, generation, moved)
            begun = tuple(cursor_of(moved, cursor.lane) for cursor in begun)
            yield Step.PIECE_COMMITTED, state
        for part, cursor in zip(worker.fit, begun, strict=True):
            end = cursor.position if Rule.ANSWER_HAS_THE_CURSOR in self.rules else part.through
            answers[part.lane] = (part.lane, part.id, end)
        yield Step.ACKNOWLEDGEMENT_DUE, state
        yield (
            Step.ACKNOWLEDGEMENT_SENT,
            self._answer(state, worker.message, "acknowledged", sorted(answers.values())),
        )

    def retry(self, state: State, generation: Generation, key: str) -> State:
        """Apply a key's letters in order, once what was wrong is mended."""
        letters = tuple(letter for letter in generation.letters if letter.key == key)
        rest = tuple(letter for letter in generation.letters if letter.key != key)
        applied = (*generation.applied, *(letter.number for letter in letters))
        return _keep(state, generation, generation._replace(applied=applied, letters=rest))

    # Judging

    def _judge(self, message: BatchMessage, part: Part, cursor: Cursor, release: Release) -> str:
        rules = self.rules
        if message.outbox != OURS and Rule.FOREIGN_IS_REFUSED in rules:
            return "refused"
        if message.epoch < cursor.epoch and Rule.OLDER_EPOCH_IS_LEFT_ALONE in rules:
            return "left"
        if message.epoch > cursor.epoch and Rule.NEWER_EPOCH_IS_ACCEPTED not in rules:
            return "left"
        if not self._agrees(part, cursor, release):
            return "left"
        if not self._remembers(message, part, cursor) and Rule.EVENT_AT_CURSOR_IS_COMPARED in rules:
            return "left"  # the lane stops; nobody but an operator helps
        if cursor.position >= part.through and Rule.DUPLICATE_IS_SKIPPED in rules:
            return "acknowledged"
        if cursor.position < part.after and Rule.GAP_IS_NOT_APPLIED in rules:
            return "acknowledged"
        return "fit"

    def _accepted(self, cursor: Cursor, message: BatchMessage) -> Cursor:
        """The cursor under the batch's epoch; in a newer one, what was applied last may be undone: it says nothing."""
        if message.epoch <= cursor.epoch:
            return cursor
        last = (0, -1, -1) if Rule.COMPARED_WITHIN_AN_EPOCH in self.rules else cursor.last
        return cursor._replace(epoch=message.epoch, last=last)

    def _agrees(self, part: Part, cursor: Cursor, release: Release) -> bool:
        """Whether producer, cursor and worker agree on what is wanted."""
        sent = "".join(event.type for event in part.events)
        return (
            (covers(release.wants, sent) or Rule.UNKNOWN_TYPE_IS_LEFT_ALONE not in self.rules)
            and (covers(part.types, release.wants) or Rule.TOO_NARROW_IS_LEFT_ALONE not in self.rules)
            and (
                covers(release.wants, cursor.types)
                or not release.versed
                or Rule.CURSOR_KEEPS_ITS_TYPES not in self.rules
            )
        )

    def _remembers(self, message: BatchMessage, part: Part, cursor: Cursor) -> bool:
        """Whether nothing in a batch contradicts what was applied.

        Compared are events at or before the cursor, of the types that it moved under, where the batch reaches as far
        as the last one applied: that one must be the last of them. An older release that moved the cursor noted none.
        """
        position, number, at = cursor.last
        if message.epoch != cursor.epoch and Rule.COMPARED_WITHIN_AN_EPOCH in self.rules:
            return True
        if at != cursor.position or part.through < position:
            return True
        back = [event for event in part.events if event.position <= cursor.position and event.type in cursor.types]
        last = (back[-1].position, back[-1].number) if back else None
        return last == ((position, number) if part.after < position else None)

    # Applying

    def _pieces(self, state: State, worker: Worker) -> list[tuple[Event, ...]]:
        """The whole, or one event at a time where one of them is poisonous."""
        wanted = []
        for part, cursor in zip(worker.fit, worker.begun, strict=True):
            skip = cursor.position if Rule.DUPLICATE_IS_SKIPPED in self.rules else 0
            wanted += [event for event in part.events if event.position > skip and event.type in worker.release.wants]
        wanted.sort()
        if any(event.number in self.poison for event in wanted):
            return [(event,) for event in wanted]
        return [tuple(wanted)]

    def _ends(self, worker: Worker, pieces: list[tuple[Event, ...]], number: int) -> dict[int, int]:
        """Where each lane's cursor is after a piece: at its part's end after the last one."""
        if number == len(pieces) - 1:
            return {part.lane: part.through for part in worker.fit}
        return {event.lane: event.position for event in pieces[number]}

    def _apply(self, state: State, generation: Generation, message: BatchMessage, piece: Sequence[Event]) -> Generation:
        held = {letter.key for letter in generation.letters} if Rule.LETTERS_HOLD_THEIR_KEY in self.rules else set()
        fit = [event for event in piece if event.key not in held]
        letters = tuple(sorted((*generation.letters, *(event for event in piece if event.key in held))))
        undone = generation.undone
        for event in fit:
            epoch = cursor_of(generation, event.lane).answered
            known = epoch == state.producer.epoch and not state.producer.moved
            undone |= known and event.number < STRANGER and event not in state.producer.log
        applied = (*generation.applied, *(event.number for event in fit))
        return generation._replace(applied=applied, letters=letters, undone=undone)

    def _unmoved(self, generation: Generation, begun: tuple[Cursor, ...]) -> bool:
        return all(
            (now.position == cursor.position or Rule.CURSOR_IS_COMPARED_AGAIN not in self.rules)
            and (now.epoch == cursor.epoch or Rule.EPOCH_IS_COMPARED_AGAIN not in self.rules)
            for cursor in begun
            for now in [cursor_of(generation, cursor.lane)]
        )

    def _move(self, generation: Generation, worker: Worker, ends: dict[int, int], piece: Sequence[Event]) -> Generation:
        for lane, end in ends.items():
            cursor = cursor_of(generation, lane)
            moved = cursor._replace(position=end)
            if worker.release.versed:
                here = [(event.position, event.number) for event in piece if event.lane == lane]
                at = end if here or cursor.last[2] == cursor.position else -1
                moved = moved._replace(last=(*max(here, default=cursor.last[:2]), at))
                for type in worker.release.wants:
                    if type not in moved.types:
                        moved = moved._replace(types=moved.types + type, since=(*moved.since, cursor.position))
            generation = generation._replace(cursors=change_one(generation.cursors, cursor, moved))
        return generation

    def _answer(self, state: State, message: BatchMessage, kind: str, parts: Sequence[tuple[int, int, int]]) -> State:
        if Rule.ANSWER_HAS_THE_CURSOR not in self.rules and kind == "acknowledged":
            ends = {part.lane: part.through for part in message.parts}
            parts = [(lane, id, ends[lane]) for lane, id, _ in parts]
        return send(state, Answer(kind, message.outbox, message.generation, tuple(parts)))


def generation_of(state: State, number: int) -> Generation | None:
    """The generation of this number, if it is there."""
    return next((one for one in state.consumer.generations if one.number == number), None)


def cursor_of(generation: Generation, lane: int) -> Cursor:
    """A generation's cursor in a lane."""
    return next(cursor for cursor in generation.cursors if cursor.lane == lane)


def _keep(state: State, old: Generation, new: Generation) -> State:
    generations = change_one(state.consumer.generations, old, new)
    return state._replace(consumer=state.consumer._replace(generations=generations))
