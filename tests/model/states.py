"""What the model remembers: two databases, a broker, and the processes at work. All of it is immutable and hashable."""

from enum import StrEnum
from typing import Any, NamedTuple

OURS, FOREIGN = "ours", "foreign"  # outboxes
STRANGER = 100  # events of the foreign outbox are numbered from here on


class Step(StrEnum):
    """Names the points between two steps of the protocol where a process may die, as ``failpoints.py`` does."""

    APPENDED = "events appended, transaction open"
    BATCH_CHOSEN = "batch chosen, subscription's transaction open"
    BATCH_RECORDED = "batch recorded as in flight, not sent"
    BATCH_SENT = "batch sent"
    ATTEMPT_RECORDED = "attempt recorded, nothing applied"
    PIECE_APPLIED = "events applied, transaction open"
    CURSOR_MOVED = "cursor moved, transaction open"
    PIECE_COMMITTED = "events and cursor committed"
    LETTER_PARKED = "dead letter written, transaction open"
    ACKNOWLEDGEMENT_DUE = "batch done, not acknowledged"
    ACKNOWLEDGEMENT_SENT = "acknowledgement sent"
    ACKNOWLEDGEMENT_TAKEN = "positions set from the acknowledgement, transaction open"
    FENCED = "sequence moved past every position handed out, epoch recorded"
    SUBSCRIBED = "subscriptions made, nothing sent yet"


class Planned(NamedTuple):
    """An event that a client wants to have appended. Types are letters; a set of types is a string of them."""

    key: str
    type: str
    lane: int = 0


class Event(NamedTuple):
    """A row of an outbox. ``number`` is its place in the plan: it tells events apart whatever their position."""

    position: int
    lane: int
    key: str
    type: str
    number: int


class Claim(NamedTuple):
    """States that no row of these types is in (start, end]."""

    types: str
    start: int
    end: int


class InFlight(NamedTuple):
    """The batch that a subscription waits for."""

    id: int
    after: int
    through: int


class Subscription(NamedTuple):
    """What the producer knows of one (generation, lane) of the consumer."""

    generation: int
    lane: int
    acknowledged: int = 0
    scanned: int = 0
    claim: Claim | None = None
    batch: InFlight | None = None
    types: str | None = None
    """What the batch in flight was filtered by. A column that releases before claims leave as it is."""
    furthest: int = 0
    """The last position ever sent to this lane."""
    stopped: bool = False


class Producer(NamedTuple):
    """The producer's database."""

    sequence: int = 0
    epoch: int = 0
    log: tuple[Event, ...] = ()
    open: tuple[Event, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    moved: bool = False
    """Whether the server is another than the one recorded with the outbox, so that a fence is due."""


class Cursor(NamedTuple):
    """How far a consumer is in a lane, under which epoch and types, and the last event that it applied there."""

    lane: int
    position: int = 0
    epoch: int = 0
    types: str = ""
    since: tuple[int, ...] = ()
    """For each of ``types``, the position after which it is wanted."""
    answered: int = 0
    """The newest epoch of which it answered a batch: the epoch itself, unless a rule is missing."""
    last: tuple[int, int, int] = (0, -1, 0)
    """Position and number of the last event applied, and where the cursor was when that was noted."""


class Generation(NamedTuple):
    """One generation of the consumer: cursors, the numbers of the events applied, and dead letters."""

    number: int
    cursors: tuple[Cursor, ...]
    applied: tuple[int, ...] = ()
    letters: tuple[Event, ...] = ()
    heard: bool = False
    """Whether a batch has come, ever."""
    undone: bool = False
    """Whether an event was applied that the history of the cursor's epoch does not have."""


class Consumer(NamedTuple):
    """The consumer's database."""

    generations: tuple[Generation, ...]


class Part(NamedTuple):
    """One lane's batch in a message."""

    lane: int
    id: int
    types: str
    after: int
    through: int
    events: tuple[Event, ...]


class BatchMessage(NamedTuple):
    """What the relay sends: the batches of one or more lanes."""

    kind: str
    outbox: str
    generation: int
    epoch: int
    parts: tuple[Part, ...]


class Answer(NamedTuple):
    """What the consumer answers: ``acknowledged``, ``gone`` or ``refused``; a (lane, batch, cursor) for each lane."""

    kind: str
    outbox: str
    generation: int
    parts: tuple[tuple[int, int, int], ...]


class Subscribe(NamedTuple):
    """What a consumer asks for that hears nothing."""

    kind: str
    outbox: str
    generation: int


Message = BatchMessage | Answer | Subscribe


class Release(NamedTuple):
    """One side's code: the types it wants for the consumer, and whether it knows claims and keeps types."""

    wants: str
    versed: bool = True


class Worker(NamedTuple):
    """A slow worker between its two transactions: the message, the parts that fit, and the cursors it began from."""

    message: BatchMessage
    release: Release
    fit: tuple[Part, ...]
    answers: tuple[tuple[int, int, int], ...]
    begun: tuple[Cursor, ...]


class Budget(NamedTuple):
    """How often each fault may still happen, and each act of an operator that nobody waits for."""

    crash: int = 0
    lose: int = 0
    copy: int = 0
    slow: int = 0
    back_up_producer: int = 0
    restore_producer: int = 0
    back_up_consumer: int = 0
    restore_consumer: int = 0
    foreign_batch: int = 0
    foreign_worker: int = 0
    rebuild: int = 0
    abandon: int = 0


class State(NamedTuple):
    """Everything at one moment."""

    producer: Producer
    consumer: Consumer
    budget: Budget
    todo: tuple[int, ...]
    """Numbers of the planned events that are not committed yet."""
    broker: tuple[Any, ...] = ()
    workers: tuple[Worker, ...] = ()
    relays: tuple[Release, ...] = ()
    """The releases that the relays run at present; while they are being upgraded, two."""
    receivers: tuple[Release, ...] = ()
    """The releases that the consumer's workers run."""
    highest: int = 0
    """The highest position handed out in any branch of history. Only a fence may look at it: it knows by the clock."""
    births: int = 1
    """How many generations there ever were."""
    producer_backup: Producer | None = None
    consumer_backup: Consumer | None = None


def covers(types: str, others: str) -> bool:
    """Whether a set of types has all of another."""
    return types == others or set(types) >= set(others)


def change_one(rows: tuple[Any, ...], old: Any, *new: Any) -> tuple[Any, ...]:
    """Replace one row of a table, or delete it."""
    at = rows.index(old)
    return (*rows[:at], *new, *rows[at + 1 :])


def send(state: State, message: Message) -> State:
    """Put a message into the broker, which keeps no order."""
    return state._replace(broker=tuple(sorted((*state.broker, message))))


def without(state: State, message: Message) -> State:
    """Take a message out of the broker."""
    return state._replace(broker=change_one(state.broker, message))
