import datetime
import django.contrib.postgres.constraints
import django.contrib.postgres.fields.ranges
import django.contrib.postgres.functions
import django.db.models.expressions
import django.db.models.functions.datetime
import uuid_utils.compat
from django.contrib.postgres.operations import BtreeGistExtension
from django.db import migrations, models

from shop.messaging.producer.partitions import CreateOutboxEvent


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        BtreeGistExtension(),  # trusted since PostgreSQL 13: the database's owner may create it
        migrations.CreateModel(
            name='Fence',
            fields=[
                ('first', models.BigIntegerField(primary_key=True, serialize=False, verbose_name='first position after it')),
                ('last_kept', models.BigIntegerField(verbose_name='last position before it that the log has')),
                ('reason', models.TextField()),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'ordering': ('-first',),
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='ProductCopy',
            fields=[
                ('sku', models.CharField(max_length=64, primary_key=True, serialize=False, verbose_name='SKU')),
                ('name', models.CharField(max_length=200)),
                ('listed', models.BooleanField()),
            ],
            options={
                'verbose_name_plural': 'product copies',
                'ordering': ('sku',),
            },
        ),
        migrations.CreateModel(
            name='Campaign',
            fields=[
                ('id', models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, primary_key=True, serialize=False)),
                ('sku', models.CharField(max_length=64, verbose_name='SKU')),
                ('price', models.PositiveBigIntegerField()),
                ('starts_at', models.DateTimeField(verbose_name='starts at (UTC)')),
                ('ends_at', models.DateTimeField(verbose_name='ends at (UTC)')),
                ('limit_per_member', models.PositiveIntegerField(help_text="Units that a member can buy over the campaign's life.")),
                ('allotment', models.PositiveIntegerField(help_text='Units that all members together can buy.')),
                ('state', models.CharField(choices=[('scheduled', 'Scheduled'), ('suspended', 'Suspended'), ('ended', 'Ended')], default='scheduled', editable=False, max_length=10)),
                ('ended_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='ended early at')),
            ],
            options={
                'ordering': ('-id',),
                'indexes': [models.Index(fields=['ends_at'], name='marketing_campaign_ends')],
                'constraints': [models.CheckConstraint(condition=models.Q(('sku__regex', '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$')), name='marketing_campaign_sku'), models.CheckConstraint(condition=models.Q(('price__range', (1, 10000000000))), name='marketing_campaign_price'), models.CheckConstraint(condition=models.Q(('limit_per_member__range', (1, 1000000))), name='marketing_campaign_limit'), models.CheckConstraint(condition=models.Q(('allotment__range', (1, 1000000000))), name='marketing_campaign_allotment'), models.CheckConstraint(condition=models.Q(('ends_at__gt', models.F('starts_at')), ('ends_at__lte', django.db.models.expressions.CombinedExpression(models.F('starts_at'), '+', models.Value(datetime.timedelta(days=366))))), name='marketing_campaign_window'), models.CheckConstraint(condition=models.Q(models.Q(('ended_at__isnull', True), ('state__in', ('scheduled', 'suspended'))), models.Q(('ended_at__isnull', False), ('state', 'ended')), _connector='OR'), name='marketing_campaign_state'), django.contrib.postgres.constraints.ExclusionConstraint(condition=models.Q(('state', 'ended'), _negated=True), expressions=[('sku', '='), (models.Func('starts_at', 'ends_at', function='tstzrange', output_field=django.contrib.postgres.fields.ranges.DateTimeRangeField()), '&&')], name='marketing_campaign_windows')],
            },
        ),
        migrations.CreateModel(
            name='Cursor',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('consumer', models.CharField(max_length=100)),
                ('generation', models.PositiveIntegerField(db_default=1, default=1)),
                ('source', models.CharField(max_length=100)),
                ('lane', models.PositiveSmallIntegerField()),
                ('position', models.BigIntegerField(db_default=0, default=0)),
                ('outbox', models.UUIDField(blank=True, null=True, verbose_name="identity of the source's outbox")),
                ('epoch', models.BigIntegerField(blank=True, null=True, verbose_name='its epoch')),
                ('types', models.JSONField(db_default=models.Value({}, models.JSONField()), default=dict, verbose_name='types, and since when')),
                ('last_event', models.JSONField(blank=True, null=True, verbose_name='last event seen')),
                ('fresh_at', models.DateTimeField(blank=True, null=True, verbose_name='everything before is applied')),
                ('attempts', models.PositiveIntegerField(db_default=0, default=0, verbose_name='times the batch was begun')),
                ('alone', models.BigIntegerField(blank=True, null=True, verbose_name='event last begun alone')),
                ('alone_attempts', models.PositiveIntegerField(db_default=0, default=0, verbose_name='times it was begun alone')),
                ('poisonous', models.PositiveIntegerField(db_default=0, default=0, verbose_name='poisonous events in a row')),
                ('left_alone', models.UUIDField(blank=True, null=True, verbose_name='batch that was left alone')),
                ('stopped', models.TextField(blank=True, db_default='', default='', verbose_name='why the lane is stopped')),
            ],
            options={
                'ordering': ('consumer', 'generation', 'source', 'lane'),
                'abstract': False,
                'constraints': [models.UniqueConstraint(fields=('consumer', 'generation', 'source', 'lane'), name='marketing_cursor_generation')],
            },
        ),
        migrations.CreateModel(
            name='DeadLetter',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('consumer', models.CharField(max_length=100)),
                ('source', models.CharField(max_length=100)),
                ('generation', models.PositiveIntegerField(db_default=1, default=1)),
                ('lane', models.PositiveSmallIntegerField()),
                ('position', models.BigIntegerField()),
                ('type', models.CharField(max_length=100)),
                ('key', models.CharField(max_length=100)),
                ('event', models.JSONField()),
                ('error', models.TextField()),
                ('traceback', models.TextField(blank=True)),
                ('attempts', models.PositiveIntegerField(default=0)),
                ('parked_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('discarded_at', models.DateTimeField(blank=True, null=True)),
                ('discarded_by', models.CharField(blank=True, db_default='', default='', max_length=150)),
            ],
            options={
                'verbose_name': 'dead letter',
                'ordering': ('consumer', 'source', 'position'),
                'abstract': False,
                'indexes': [models.Index(condition=models.Q(('discarded_at', None)), fields=['consumer', 'source', 'key', 'position'], name='marketing_deadletter_open')],
                'constraints': [models.UniqueConstraint(fields=('consumer', 'generation', 'source', 'position'), name='marketing_deadletter_generation')],
            },
        ),
        migrations.CreateModel(
            name='Generation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('consumer', models.CharField(max_length=100)),
                ('source', models.CharField(max_length=100)),
                ('number', models.PositiveIntegerField()),
                ('began_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'ordering': ('consumer', 'source', 'number'),
                'abstract': False,
                'constraints': [models.UniqueConstraint(fields=('consumer', 'source', 'number'), name='marketing_generation_once')],
            },
        ),
        migrations.CreateModel(
            name='IdempotencyKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('user_id', models.BigIntegerField(verbose_name='user')),
                ('key', models.CharField(max_length=255)),
                ('fingerprint', models.CharField(max_length=64, verbose_name='SHA-256 of what was asked')),
                ('answer', models.TextField(blank=True, db_default='', default='', verbose_name='answer, as JSON')),
                ('created_at', models.DateTimeField(db_index=True)),
            ],
            options={
                'abstract': False,
                'constraints': [models.UniqueConstraint(fields=('user_id', 'key'), name='marketing_idempotencykey_once')],
            },
        ),
        migrations.CreateModel(
            name='LetterRetry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('consumer', models.CharField(max_length=100)),
                ('source', models.CharField(max_length=100)),
                ('keys', models.JSONField(verbose_name='keys, in the order of their retry')),
                ('requested_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('requested_by', models.CharField(max_length=150)),
                ('began_at', models.DateTimeField(blank=True, null=True)),
                ('position', models.BigIntegerField(blank=True, null=True, verbose_name='letter begun last')),
                ('done', models.PositiveIntegerField(db_default=0, default=0, verbose_name='keys done')),
                ('applied', models.PositiveIntegerField(db_default=0, default=0, verbose_name='letters applied')),
                ('left', models.PositiveIntegerField(blank=True, null=True, verbose_name='letters left at the end')),
                ('error', models.TextField(blank=True, db_default='', default='', verbose_name='why it ended early')),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'verbose_name': 'retry of dead letters',
                'verbose_name_plural': 'retries of dead letters',
                'ordering': ('-id',),
                'abstract': False,
                'indexes': [models.Index(condition=models.Q(('began_at', None), ('ended_at', None)), fields=['id'], name='marketing_letterretry_due')],
            },
        ),
        migrations.CreateModel(
            name='Outbox',
            fields=[
                ('id', models.PositiveSmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                ('lanes', models.PositiveSmallIntegerField()),
                ('identity', models.UUIDField(db_default=django.contrib.postgres.functions.RandomUUID(), editable=False)),
                ('epoch', models.BigIntegerField(db_default=0, default=0, verbose_name='first position since the last fence')),
                ('server', models.CharField(blank=True, db_default='', default='', max_length=40, verbose_name='system identifier and timeline of the server')),
            ],
            options={
                'abstract': False,
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='marketing_outbox_once')],
            },
        ),
        CreateOutboxEvent(
            name='OutboxEvent',
            fields=[
                ('position', models.BigIntegerField(primary_key=True, serialize=False)),
                ('lane', models.PositiveSmallIntegerField()),
                ('type', models.CharField(max_length=100)),
                ('key', models.CharField(max_length=100, verbose_name="key (the aggregate's id)")),
                ('data', models.JSONField()),
                ('headers', models.JSONField(default=dict)),
                ('recorded_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                'verbose_name': 'outbox event',
                'ordering': ('-position',),
                'abstract': False,
                'indexes': [models.Index(fields=['lane', 'position'], name='marketing_outboxevent_lane'), models.Index(fields=['key', 'position'], name='marketing_outboxevent_key')],
            },
        ),
        migrations.CreateModel(
            name='Subscription',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('consumer', models.CharField(max_length=100)),
                ('generation', models.PositiveIntegerField(db_default=1, default=1)),
                ('lane', models.PositiveSmallIntegerField()),
                ('acknowledged', models.BigIntegerField(db_default=0, default=0)),
                ('scanned', models.BigIntegerField(db_default=0, default=0)),
                ('claim_types', models.JSONField(blank=True, null=True, verbose_name='types that were looked for')),
                ('claim_from', models.BigIntegerField(blank=True, null=True, verbose_name='none of them is after')),
                ('claim_to', models.BigIntegerField(blank=True, null=True, verbose_name='up to')),
                ('batch', models.UUIDField(blank=True, null=True, verbose_name='batch in flight')),
                ('after', models.BigIntegerField(blank=True, null=True)),
                ('through', models.BigIntegerField(blank=True, null=True)),
                ('furthest', models.BigIntegerField(db_default=0, default=0, verbose_name='furthest position ever sent')),
                ('types', models.JSONField(blank=True, null=True, verbose_name='types that a batch was filtered by')),
                ('types_of', models.UUIDField(blank=True, null=True, verbose_name='batch that they belong to')),
                ('sent_at', models.DateTimeField(blank=True, null=True)),
                ('tries', models.PositiveIntegerField(db_default=0, default=0)),
                ('due_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='next resend or empty batch')),
                ('stopped', models.TextField(blank=True, db_default='', default='', verbose_name='why nothing is sent')),
            ],
            options={
                'ordering': ('consumer', 'generation', 'lane'),
                'abstract': False,
                'constraints': [models.UniqueConstraint(fields=('consumer', 'generation', 'lane'), name='marketing_subscription_generation')],
            },
        ),
    ]
