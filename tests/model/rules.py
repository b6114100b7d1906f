"""The rules of the protocol. A mutant is the protocol without one of them.

``HARM`` names, for each rule, the configuration in which its absence does harm, and which harm. ``SPARE`` names the
rules whose absence does none, and why they are kept.
"""

from enum import Enum, StrEnum


class Harm(StrEnum):
    """What a violation is."""

    LOST = "a cursor is past a wanted event that was not applied"
    DOUBLED = "an event was applied twice"
    OUT_OF_ORDER = "events of one key were applied out of order"
    FOREIGN = "an event of another outbox was applied"
    UNDONE = "an event was applied that the accepted history does not have"
    STUCK = "from here on nothing fair ever completes the work"


class Rule(Enum):
    """A rule, in a sentence."""

    # Producer: the log
    LANES_ARE_LOCKED = "An append holds its lane's lock from before it takes a position until it has committed."

    # Producer: the relay
    ONE_IN_FLIGHT = "A lane has one batch in flight; the next is chosen when that one is acknowledged."
    RECORDED_BEFORE_SENT = "A batch is recorded and committed before it is sent."
    RESENT_UNDER_ITS_ID = "A batch is sent again under its id."
    RESENT_WITHIN_ITS_BOUNDS = "A batch is sent again with its bounds."
    AFTER_IS_ACKNOWLEDGED = "A batch begins after what is acknowledged, not after what is scanned."
    SCANNED_STOPS_AT_WANTED = "Scanned never passes a wanted row that is not acknowledged."
    CLAIM_HAS_TYPES = "A claim counts only for types that it names."
    CLAIM_REACHES_BACK = "A claim counts only if it begins at or before what is acknowledged."
    CLAIM_REACHES_SCANNED = "A claim counts only if it reaches what is scanned."
    BATCH_KEEPS_ITS_TYPES = "A batch is sent again under the types that it was filtered by."
    TOO_NARROW_IS_DROPPED = "A batch filtered by fewer types than are wanted by now is dropped and read anew."

    # Producer: answers
    STALE_ANSWER_IS_IGNORED = "An acknowledgement of a batch that is not in flight is ignored."
    ANSWER_HAS_THE_CURSOR = "An acknowledgement carries the cursor, not the end of the batch."
    ANSWER_SETS_BOTH = "An acknowledgement sets scanned as well as acknowledged."
    REFUSAL_IS_MATCHED = "A refusal stops the subscription of the outbox that sent the batch, and no other."
    BEYOND_THE_SEQUENCE_STOPS = "An acknowledgement beyond what was ever handed out stops the lane."
    BEYOND_WHAT_WAS_SENT_STOPS = "An acknowledgement beyond what was ever sent, and below no fence, stops the lane."

    # Producer: restores
    FENCED_BEFORE_WORK = "A restored producer is fenced before it appends, relays or takes an answer."
    FENCE_JUMPS = "A fence moves the sequence beyond every position that any branch handed out."
    FENCE_MAKES_AN_EPOCH = "A fence begins a new epoch, which batches carry."
    FENCE_FORGETS_BATCHES = "A fence forgets the batches in flight."

    # Consumer
    DUPLICATE_IS_SKIPPED = "Events at or before the cursor are not applied."
    GAP_IS_NOT_APPLIED = "A batch that begins after the cursor is not applied."
    CURSOR_MOVES_WITH_EFFECTS = "The cursor moves in the transaction that applies."
    CURSOR_IS_COMPARED_AGAIN = "The transaction that applies finds the cursor where the attempt began."
    EPOCH_IS_COMPARED_AGAIN = "The transaction that applies finds the epoch with which the attempt began."
    LETTERS_HOLD_THEIR_KEY = "Events wait behind a dead letter of their key."
    TOO_NARROW_IS_LEFT_ALONE = "A batch that was filtered by fewer types than the worker wants is left alone."
    UNKNOWN_TYPE_IS_LEFT_ALONE = "A batch with an event of a type that the worker does not know is left alone."
    CURSOR_KEEPS_ITS_TYPES = "A worker leaves a batch alone if the cursor has moved under types that it does not want."
    FOREIGN_IS_REFUSED = "A batch of another outbox is refused and changes nothing."
    OLDER_EPOCH_IS_LEFT_ALONE = "A batch of an older epoch is left alone."
    NEWER_EPOCH_IS_ACCEPTED = "A batch of a newer epoch is taken."
    EPOCH_IS_KEPT_FOR_DUPLICATES = "A newer epoch is kept even if its batch has nothing to apply."
    EVENT_AT_CURSOR_IS_COMPARED = "A batch that reaches back over the cursor must have the last event applied."
    COMPARED_WITHIN_AN_EPOCH = "What was applied under another epoch is not compared: it may be undone."

    # Generations
    GENERATION_HAS_ITS_CURSORS = "A generation has its own cursors."
    GONE_IS_ANSWERED = "A batch for a generation that is gone is answered so, which deletes the subscription."
    GONE_MATCHES_THE_BATCH = "The answer that a generation is gone counts only for the batch in flight."
    NEVER_RENUMBERED = "A generation never gets the number of another that there was before."
    ASKS_WHILE_NOTHING_COMES = (
        "A generation asks to be subscribed whenever nothing comes, not only until the first batch."
    )


ALL = frozenset(Rule)

HARM = {
    Rule.LANES_ARE_LOCKED: ("broker", Harm.LOST),
    Rule.ONE_IN_FLIGHT: ("broker", Harm.LOST),
    Rule.RESENT_UNDER_ITS_ID: ("hasty", Harm.STUCK),
    Rule.AFTER_IS_ACKNOWLEDGED: ("consumer restored", Harm.STUCK),
    Rule.SCANNED_STOPS_AT_WANTED: ("both restored", Harm.LOST),
    Rule.CLAIM_HAS_TYPES: ("a type is new", Harm.LOST),
    Rule.CLAIM_REACHES_BACK: ("claims are new, consumer restored", Harm.LOST),
    Rule.CLAIM_REACHES_SCANNED: ("claims are new", Harm.LOST),
    Rule.BATCH_KEEPS_ITS_TYPES: ("a type is new", Harm.LOST),
    Rule.TOO_NARROW_IS_DROPPED: ("a type is new", Harm.STUCK),
    Rule.ANSWER_HAS_THE_CURSOR: ("consumer restored", Harm.STUCK),
    Rule.ANSWER_SETS_BOTH: ("claims are new, consumer restored", Harm.LOST),
    Rule.REFUSAL_IS_MATCHED: ("foreign deployment", Harm.STUCK),
    Rule.BEYOND_WHAT_WAS_SENT_STOPS: ("unnoticed restore", Harm.LOST),
    Rule.FENCED_BEFORE_WORK: ("both restored", Harm.LOST),
    Rule.FENCE_JUMPS: ("both restored", Harm.STUCK),
    Rule.FENCE_MAKES_AN_EPOCH: ("both restored", Harm.STUCK),
    Rule.DUPLICATE_IS_SKIPPED: ("broker", Harm.DOUBLED),
    Rule.GAP_IS_NOT_APPLIED: ("consumer restored", Harm.LOST),
    Rule.CURSOR_MOVES_WITH_EFFECTS: ("broker", Harm.DOUBLED),
    Rule.CURSOR_IS_COMPARED_AGAIN: ("broker", Harm.DOUBLED),
    Rule.EPOCH_IS_COMPARED_AGAIN: ("producer restored", Harm.UNDONE),
    Rule.LETTERS_HOLD_THEIR_KEY: ("letters", Harm.OUT_OF_ORDER),
    Rule.TOO_NARROW_IS_LEFT_ALONE: ("a type is new", Harm.LOST),
    Rule.CURSOR_KEEPS_ITS_TYPES: ("a type is new", Harm.LOST),
    Rule.FOREIGN_IS_REFUSED: ("foreign deployment", Harm.FOREIGN),
    Rule.OLDER_EPOCH_IS_LEFT_ALONE: ("both restored", Harm.UNDONE),
    Rule.NEWER_EPOCH_IS_ACCEPTED: ("both restored", Harm.STUCK),
    Rule.EPOCH_IS_KEPT_FOR_DUPLICATES: ("both restored", Harm.UNDONE),
    Rule.EVENT_AT_CURSOR_IS_COMPARED: ("unnoticed restore", Harm.LOST),
    Rule.COMPARED_WITHIN_AN_EPOCH: ("both restored", Harm.STUCK),
    Rule.GENERATION_HAS_ITS_CURSORS: ("generations", Harm.LOST),
    Rule.GONE_IS_ANSWERED: ("generations", Harm.STUCK),
    Rule.ASKS_WHILE_NOTHING_COMES: ("generations, producer restored", Harm.STUCK),
}

SPARE = {
    Rule.RECORDED_BEFORE_SENT: ("broker", "No row is locked during a call to the broker; the cursor copes without."),
    Rule.RESENT_WITHIN_ITS_BOUNDS: ("hasty", "Attempts at a batch are counted, so it should stay the same batch."),
    Rule.STALE_ANSWER_IS_IGNORED: ("consumer restored", "Positions do not go back and forth; a gap mends a wrong one."),
    Rule.BEYOND_THE_SEQUENCE_STOPS: ("unnoticed restore", "What was never handed out was never sent either."),
    Rule.FENCE_FORGETS_BATCHES: ("both restored", "A batch of before the restore is answered as a duplicate."),
    Rule.UNKNOWN_TYPE_IS_LEFT_ALONE: ("a type is new", "The types of the cursor keep older workers away already."),
    Rule.GONE_MATCHES_THE_BATCH: ("generations", "Who hears nothing asks to be subscribed again."),
    Rule.NEVER_RENUMBERED: ("generations", "A gap rewinds the subscription that was left over."),
}
