"""Show a member's new name beside all of its orders, in bounded pieces."""

import time
from collections.abc import Sequence

from django.db import connections, transaction

PIECE = 1000  # orders that one transaction renames, at most

# At most so many of these members' orders: enough to know whether one transaction may rename them all.
FIRST = """
SELECT view.id FROM unnest(%(members)s::bigint[]) AS member (id)
CROSS JOIN LATERAL (
    SELECT id FROM readmodel_orderview WHERE member_id = member.id ORDER BY placed_at, id LIMIT %(limit)s
) AS view LIMIT %(limit)s
"""

# Name rows are locked by whoever calls this; then orders, by primary key.
SHOW = """
SELECT FROM readmodel_orderview WHERE id = ANY(%(orders)s) ORDER BY id FOR UPDATE;
UPDATE readmodel_orderview AS o SET member_name = m.name FROM readmodel_membername AS m
WHERE o.id = ANY(%(orders)s) AND m.member_id = o.member_id AND o.member_name <> m.name
"""

# A renaming that is under way begins anew, with the newest name.
QUEUE = """
INSERT INTO readmodel_renaming (member_id) SELECT id FROM unnest(%(members)s::bigint[]) AS id ORDER BY id
ON CONFLICT (member_id) DO UPDATE SET placed_at = NULL, order_id = NULL
"""

# Waits for nobody, so it cannot deadlock with a reaction that locks the name first. While the name is held,
# it does not change, and an order that is projected meanwhile shows it already.
NEXT = """
SELECT r.member_id, r.placed_at, r.order_id
FROM readmodel_renaming AS r JOIN readmodel_membername AS m USING (member_id)
ORDER BY r.member_id LIMIT 1 FOR UPDATE OF r SKIP LOCKED FOR SHARE OF m SKIP LOCKED
"""

# Through the index on (member_id, placed_at, id), which alone serves this order: rows that were renamed, and those
# of other members, are not read again.
PAGE = """
SELECT placed_at, id FROM readmodel_orderview
WHERE (member_id, placed_at, id) > (
    %(member)s, coalesce(%(placed_at)s::timestamptz, '-infinity'),
    coalesce(%(order)s::uuid, '00000000-0000-0000-0000-000000000000')
) AND member_id <= %(member)s
ORDER BY member_id, placed_at, id LIMIT %(limit)s
"""

ADVANCE = "UPDATE readmodel_renaming SET placed_at = %(placed_at)s, order_id = %(order)s WHERE member_id = %(member)s"

FINISH = "DELETE FROM readmodel_renaming WHERE member_id = %(member)s"


def show_names(members: Sequence[int]) -> None:
    """Show these members' names beside their orders: at once where those are few, else piece by piece, later.

    Call it in the transaction that set the names, and holds their rows.
    """
    with connections["readmodel"].cursor() as cursor:
        cursor.execute(FIRST, {"members": list(members), "limit": PIECE + 1})
        orders = [order_id for (order_id,) in cursor.fetchall()]
        if len(orders) > PIECE:
            cursor.execute(QUEUE, {"members": list(members)})
        elif orders:
            cursor.execute(SHOW, {"orders": orders})


def continue_renamings(*, seconds: float) -> int:
    """Rename orders of members with a new name, for about ``seconds``; return how many orders were looked at.

    Each piece is a transaction that also moves its renaming's position: a process that dies loses one piece at
    most, and two that run at once work on different members.
    """
    end = time.monotonic() + seconds
    total = 0
    while (count := _rename_piece()) is not None:
        total += count
        if time.monotonic() > end:
            break
    return total


def _rename_piece() -> int | None:
    """Rename the next orders of one member; return how many were looked at, ``None`` if nothing is left to do."""
    with transaction.atomic(using="readmodel"), connections["readmodel"].cursor() as cursor:
        cursor.execute(NEXT)
        renaming = cursor.fetchone()
        if renaming is None:
            return None
        member, placed_at, order = renaming
        cursor.execute(PAGE, {"member": member, "placed_at": placed_at, "order": order, "limit": PIECE})
        page = cursor.fetchall()
        cursor.execute(SHOW, {"orders": [order_id for _, order_id in page]})
        if len(page) < PIECE:
            cursor.execute(FINISH, {"member": member})
        else:
            placed_at, order = page[-1]
            cursor.execute(ADVANCE, {"member": member, "placed_at": placed_at, "order": order})
    return len(page)
