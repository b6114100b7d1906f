from django.db import migrations, models


class Migration(migrations.Migration):
    """The older release adds claims and reservations without campaigns; both columns need no rewriting."""

    dependencies = [
        ('inventory', '0007_movement_once_each'),
    ]

    operations = [
        migrations.AddField(
            model_name='claim',
            name='exhausted',
            field=models.JSONField(blank=True, db_default=[], default=list, verbose_name="lines beyond their campaign's allotment"),
        ),
        migrations.AddField(
            model_name='reservation',
            name='campaign_id',
            field=models.UUIDField(blank=True, null=True, verbose_name='campaign'),
        ),
        migrations.CreateModel(
            name='Allotment',
            fields=[
                ('campaign_id', models.UUIDField(primary_key=True, serialize=False, verbose_name='campaign')),
                ('sku', models.CharField(max_length=64, verbose_name='SKU')),
                ('allotment', models.BigIntegerField()),
                ('taken', models.BigIntegerField(default=0)),
            ],
            options={
                'ordering': ('-campaign_id',),
                'constraints': [models.CheckConstraint(condition=models.Q(('taken__gte', 0), ('taken__lte', models.F('allotment'))), name='inventory_allotment_taken')],
            },
        ),
    ]
