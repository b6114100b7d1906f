from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):
    """Not valid: the tables may be long. The next migration looks at their rows, without locking anybody out.

    What changes no table comes first, so that locks are held for as short as can be; then claims, reservations and
    movements, as workers lock them.
    """

    dependencies = [
        ('inventory', '0005_bounds'),
    ]

    operations = [
        migrations.AlterField(
            model_name='stockmovement',
            name='kind',
            field=models.CharField(choices=[('received', 'Received'), ('reserved', 'Reserved'), ('released', 'Released'), ('shipped', 'Shipped'), ('returned', 'Returned'), ('adjusted', 'Adjusted')], max_length=10),
        ),
        migrations.AlterField(
            model_name='claim',
            name='status',
            field=models.CharField(choices=[('locked', 'Locked'), ('failed', 'Failed'), ('released', 'Released'), ('shipped', 'Shipped')], max_length=10),
        ),
        migrations.RemoveConstraint(
            model_name='claim',
            name='inventory_claim_status',
        ),
        AddConstraintNotValid(
            model_name='claim',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ('locked', 'failed', 'released', 'shipped'))), name='inventory_claim_status'),
        ),
        migrations.AddField(
            model_name='reservation',
            name='returned',
            field=models.IntegerField(db_default=0, default=0, help_text='Of all returns of the order so far.'),
        ),
        AddConstraintNotValid(
            model_name='reservation',
            constraint=models.CheckConstraint(condition=models.Q(('returned__gte', 0), ('returned__lte', models.F('quantity'))), name='inventory_reservation_returned'),
        ),
        AddConstraintNotValid(
            model_name='stockmovement',
            constraint=models.CheckConstraint(condition=models.Q(('order_id__isnull', False), models.Q(('kind__in', ('reserved', 'released', 'shipped', 'returned')), _negated=True), _connector='OR'), name='inventory_movement_order'),
        ),
    ]
