from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):
    """Not valid: no row of an older release breaks it, and the ledger may be long."""

    dependencies = [
        ('inventory', '0004_idempotencykey'),
    ]

    operations = [
        AddConstraintNotValid(
            model_name='stockmovement',
            constraint=models.CheckConstraint(condition=models.Q(('quantity__gte', -1000000000)), name='inventory_movement_size_down'),
        ),
    ]
