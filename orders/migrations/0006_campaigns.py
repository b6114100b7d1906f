from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):
    """Not valid: every line there is meets the condition, and they may be many. The older release adds lines without campaign."""

    dependencies = [
        ('orders', '0005_sold_out'),
    ]

    operations = [
        migrations.CreateModel(
            name='CampaignCopy',
            fields=[
                ('campaign_id', models.UUIDField(primary_key=True, serialize=False, verbose_name='campaign')),
                ('sku', models.CharField(max_length=64, verbose_name='SKU')),
                ('price', models.PositiveBigIntegerField()),
                ('starts_at', models.DateTimeField()),
                ('ends_at', models.DateTimeField()),
                ('limit_per_member', models.PositiveIntegerField()),
                ('allotment', models.PositiveIntegerField()),
                ('state', models.CharField(max_length=100)),
            ],
            options={
                'verbose_name_plural': 'campaign copies',
                'ordering': ('-campaign_id',),
            },
        ),
        migrations.CreateModel(
            name='CampaignTaking',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('campaign_id', models.UUIDField(verbose_name='campaign')),
                ('member_id', models.BigIntegerField(verbose_name='member')),
                ('taken', models.PositiveBigIntegerField()),
                ('allowed', models.PositiveBigIntegerField()),
            ],
        ),
        migrations.AddField(
            model_name='orderline',
            name='allotment',
            field=models.IntegerField(blank=True, help_text='Of the campaign.', null=True),
        ),
        migrations.AddField(
            model_name='orderline',
            name='campaign_id',
            field=models.UUIDField(blank=True, null=True, verbose_name='campaign'),
        ),
        AddConstraintNotValid(
            model_name='orderline',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('allotment__isnull', True), ('campaign_id__isnull', True)), models.Q(('allotment__gte', 1), ('allotment__isnull', False), ('campaign_id__isnull', False)), _connector='OR'), name='orders_orderline_campaign'),
        ),
        migrations.AddIndex(
            model_name='campaigncopy',
            index=models.Index(fields=['sku', 'ends_at'], name='orders_campaigncopy_sku'),
        ),
        migrations.AddConstraint(
            model_name='campaigntaking',
            constraint=models.UniqueConstraint(fields=('campaign_id', 'member_id'), name='orders_campaigntaking_once'),
        ),
        migrations.AddConstraint(
            model_name='campaigntaking',
            constraint=models.CheckConstraint(condition=models.Q(('taken__gte', 0), ('taken__lte', models.F('allowed'))), name='orders_campaigntaking_limit'),
        ),
    ]
