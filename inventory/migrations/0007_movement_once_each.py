from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations, models

# Left behind, invalid, by a run that was interrupted: it is made anew.
FORGET = "DROP INDEX CONCURRENTLY IF EXISTS inventory_movement_once_each"

NEW = """
CREATE UNIQUE INDEX CONCURRENTLY inventory_movement_once_each ON inventory_stockmovement (order_id, sku, kind)
WHERE order_id IS NOT NULL AND NOT (kind = 'returned')
"""

OLD = """
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS inventory_movement_once ON inventory_stockmovement (order_id, sku, kind)
WHERE order_id IS NOT NULL
"""


class Migration(migrations.Migration):
    """Concurrently: the ledger may be long, and goes on being written to. The old index goes when the new one is there.

    The older release's workers, which may still run, write no movements that either index or constraint refuses.
    """

    atomic = False

    dependencies = [
        ('inventory', '0006_shipping'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(FORGET, migrations.RunSQL.noop),
                migrations.RunSQL(NEW, FORGET),
                migrations.RunSQL("DROP INDEX CONCURRENTLY IF EXISTS inventory_movement_once", OLD),
            ],
            state_operations=[
                migrations.RemoveConstraint(
                    model_name='stockmovement',
                    name='inventory_movement_once',
                ),
                migrations.AddConstraint(
                    model_name='stockmovement',
                    constraint=models.UniqueConstraint(condition=models.Q(('order_id__isnull', False), models.Q(('kind', 'returned'), _negated=True)), fields=('order_id', 'sku', 'kind'), name='inventory_movement_once_each'),
                ),
            ],
        ),
        ValidateConstraint(model_name='claim', name='inventory_claim_status'),
        ValidateConstraint(model_name='reservation', name='inventory_reservation_returned'),
        ValidateConstraint(model_name='stockmovement', name='inventory_movement_order'),
    ]
