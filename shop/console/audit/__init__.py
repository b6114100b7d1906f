"""The audit: what must hold over all databases, checked exactly, at any moment and not only at rest.

The databases share no instant, and the system may be moving. But a consumer's state is a function of its
producers' logs up to its cursors, and what a log holds up to there is never changed. So each family of
invariants reads, in this order, (1) what the producers believe of their consumers, (2) one snapshot of each
database that it is about, with its cursors and dead letters, (3) the logs, later than every cursor in (2); and
compares state with log up to the cursor. Then it lets its snapshots go, before the next family takes its own:
an old snapshot keeps dead rows from being cleared away. Keys with an open dead letter are behind their cursor:
they are left out, and listed. What is wrong with a key of which an event was discarded is put down to that
event (``letters.discarded``).

One module holds what is about one thing, the SQL beside its check. Nothing here uses the contexts' code:
the audit must not share their mistakes. Everything is streamed, so that memory does not grow with the shop.
"""

from shop.console.audit.running import Report, audit, wait_until_at_rest

__all__ = ["Report", "audit", "wait_until_at_rest"]
