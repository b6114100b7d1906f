import django.db.models.deletion
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):
    """What is there names no participants: the inventory alone decides, also where the older release still places.

    Not valid: every row there is meets the condition, and they may be many.
    """

    dependencies = [
        ('orders', '0003_idempotencykey'),
    ]

    operations = [
        migrations.CreateModel(
            name='OrderReturn',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('sku', models.CharField(max_length=64, verbose_name='SKU')),
                ('quantity', models.PositiveIntegerField()),
                ('total', models.PositiveIntegerField(help_text='Of all returns of this SKU and order so far.')),
                ('at', models.DateTimeField()),
            ],
            options={
                'ordering': ('pk',),
            },
        ),
        migrations.AddField(
            model_name='order',
            name='granted',
            field=models.JSONField(blank=True, db_default=[], default=list, help_text='The participants that agreed, so far.'),
        ),
        migrations.AddField(
            model_name='order',
            name='participants',
            field=models.JSONField(blank=True, db_default=[], default=list, help_text='The contexts whose answers decide it; none if it was placed before they were named.'),
        ),
        AddConstraintNotValid(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ('open', 'cancelled')), ('granted__contains', models.F('participants')), _connector='OR'), name='orders_order_agreed'),
        ),
        migrations.AddField(
            model_name='orderreturn',
            name='order',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='returns', to='orders.order'),
        ),
        migrations.AddConstraint(
            model_name='orderreturn',
            constraint=models.UniqueConstraint(fields=('order', 'sku', 'total'), name='orders_orderreturn_once'),
        ),
        migrations.AddConstraint(
            model_name='orderreturn',
            constraint=models.CheckConstraint(condition=models.Q(('quantity__gt', 0), ('total__gte', models.F('quantity'))), name='orders_orderreturn_quantity'),
        ),
    ]
