from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Concurrently: the ledger may be long, and goes on being written to."""

    atomic = False

    dependencies = [
        ('inventory', '0002_messaging'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='stockmovement',
            index=models.Index(fields=['sku', 'kind', 'id'], name='inventory_movement_kind'),
        ),
    ]
