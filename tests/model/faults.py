"""What may happen to the machines, and what operators do: each a few times in a run, as the budget allows."""

from collections.abc import Iterator

from tests.model.states import (
    FOREIGN,
    OURS,
    STRANGER,
    Answer,
    BatchMessage,
    Consumer,
    Cursor,
    Event,
    Generation,
    Part,
    State,
    Subscription,
    change_one,
    send,
    without,
)

Happening = tuple[str, State]


def spend(state: State, fault: str) -> State:
    """Take a fault off the budget."""
    left = getattr(state.budget, fault)
    return state._replace(budget=state.budget._replace(**{fault: left - 1}))


def faults(state: State, *, room: int, fences: bool, reuses_numbers: bool, shares_cursors: bool) -> Iterator[Happening]:
    """Everything that may go wrong, or be done by an operator, at this moment."""
    yield from _broker_faults(state, room)
    yield from _restores(state, fences)
    yield from _foreign_deployment(state, room)
    yield from _operators(state, reuses_numbers, shares_cursors)


def _broker_faults(state: State, room: int) -> Iterator[Happening]:
    for message in dict.fromkeys(state.broker):
        if state.budget.lose:
            yield f"lost: {describe(message)}", spend(without(state, message), "lose")
        if state.budget.copy and len(state.broker) < room:
            yield f"doubled: {describe(message)}", spend(send(state, message), "copy")


def _restores(state: State, fences: bool) -> Iterator[Happening]:
    budget = state.budget
    if budget.back_up_producer:
        kept = state.producer._replace(open=())
        yield "producer backed up", spend(state._replace(producer_backup=kept), "back_up_producer")
    if budget.restore_producer and state.producer_backup:
        restored = state.producer_backup._replace(moved=fences)
        yield "producer restored", spend(state._replace(producer=restored), "restore_producer")
    if budget.back_up_consumer:
        yield "consumer backed up", spend(state._replace(consumer_backup=state.consumer), "back_up_consumer")
    if budget.restore_consumer and state.consumer_backup:
        restored = state._replace(consumer=state.consumer_backup, workers=())
        yield "consumer restored", spend(restored, "restore_consumer")


def _foreign_deployment(state: State, room: int) -> Iterator[Happening]:
    """Another deployment on the same broker, under the same queue names."""
    if state.budget.foreign_batch and len(state.broker) < room:
        event = Event(1, 0, "k", "A", STRANGER)
        part = Part(0, 99, "AB", 0, 2, (event,))
        message = BatchMessage("batch", FOREIGN, 1, 0, (part,))
        yield "foreign batch sent", spend(send(state, message), "foreign_batch")
    if state.budget.foreign_worker:
        for message in dict.fromkeys(state.broker):
            taken = spend(without(state, message), "foreign_worker")
            if message.kind == "batch" and message.outbox == OURS:
                parts = tuple((part.lane, part.id, 0) for part in message.parts)
                taken = send(taken, Answer("refused", OURS, message.generation, parts))
            yield f"taken by the foreign deployment: {describe(message)}", taken


def _operators(state: State, reuses_numbers: bool, shares_cursors: bool) -> Iterator[Happening]:
    """A second generation is begun; a generation is abandoned while another is there."""
    generations = state.consumer.generations
    if state.budget.rebuild:
        number = max(one.number for one in generations) + 1 if reuses_numbers else state.births + 1
        lanes = [cursor.lane for cursor in generations[0].cursors]
        cursors = generations[0].cursors if shares_cursors else tuple(Cursor(lane) for lane in lanes)
        begun = Consumer((*generations, Generation(number, cursors)))
        yield f"generation {number} begun", spend(state._replace(consumer=begun, births=state.births + 1), "rebuild")
    if state.budget.abandon and len(generations) > 1:
        for one in generations:
            rest = state._replace(consumer=Consumer(change_one(generations, one)))
            yield f"generation {one.number} abandoned", spend(rest, "abandon")


def repairs(state: State) -> Iterator[Happening]:
    """What operators are certain to do: separate the deployments, and start what a refusal or a restore stopped."""
    if state.budget.foreign_batch or state.budget.foreign_worker:
        budget = state.budget._replace(foreign_batch=0, foreign_worker=0)
        yield "foreign deployment given its own queues", state._replace(budget=budget)
        return
    for row in state.producer.subscriptions:
        if row.stopped and row.batch:  # the batch that was refused
            rows = change_one(state.producer.subscriptions, row, row._replace(stopped=False))
            producer = state.producer._replace(subscriptions=rows)
            yield f"lane {row.lane} resumed", state._replace(producer=producer)


def describe(message: object) -> str:
    """A message in a few words."""
    match message:
        case BatchMessage(outbox=outbox, generation=generation, epoch=epoch, parts=parts):
            lanes = ", ".join(
                f"#{part.id} ({part.after}, {part.through}] of {part.types or 'nothing'} with "
                f"[{' '.join(f'{event.position}{event.type}' for event in part.events)}]"
                for part in parts
            )
            origin = f" from {outbox}" if outbox != OURS else ""
            return f"batch {lanes} for generation {generation}{origin}" + (f", epoch {epoch}" if epoch else "")
        case Answer(kind=kind, parts=parts):
            return f"{kind} " + ", ".join(f"#{id} cursor {cursor}" for _, id, cursor in parts)
        case _:
            return f"subscribe generation {message.generation}"  # type: ignore[attr-defined]


def subscriptions_of(state: State) -> set[tuple[int, int]]:
    """The (generation, lane) pairs that the producer serves."""
    rows: tuple[Subscription, ...] = state.producer.subscriptions
    return {(row.generation, row.lane) for row in rows}
