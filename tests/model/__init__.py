"""The messaging protocol as a model that runs: every state that it can reach, searched.

One producer, one broker that keeps no order, one consumer; two or three events. A state holds both databases, the
messages on their way, and the workers that stand between two transactions (``states.py``). From each state follows
whatever may happen next: a turn of the producer (``producer.py``) or of the consumer (``consumer.py``), a crash at any
step of it, or a fault (``faults.py``): a message is lost or doubled, a process stands still, either database is
restored from a backup, either side is upgraded, a foreign deployment uses the same queues, a generation of the
consumer is begun or abandoned. How many faults a run may have is its budget (``configurations.py``).

In every state (``protocol.py``, ``harm``):

- no event was applied twice, and each key's events were applied in order;
- no event of another outbox was applied, and none that the history which the consumer accepted does not have;
- every wanted event at or before a cursor was applied, or is a dead letter.

From every state a way without further faults leads to the end (``done``): everything is appended, applied and
acknowledged. Events that a restore of the producer undid are not lost; what consumers did for them stays.

``rules.py`` names the rules. ``test_rules.py`` takes each away by itself, and the search then finds the harm that it
prevents. A few are spare: other rules cover for them.

``python -m tests.model`` searches the configurations; with ``--deep`` (``make model``) each has more of everything.

What is left out: pauses and time (a time-out comes when nothing of the batch is on its way, or too early, which is a
fault); how many poisonous events stop a lane; halving (a batch with a poisonous event is applied event by event);
signatures; publishing by the live generation alone; partitions and the archive; what of an event is decoded.
A consumer knows its outbox from the start, as ``migrate`` writes it: one that adopts the first batch it gets can adopt
that of a foreign deployment.
"""
