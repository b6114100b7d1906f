from django.db import migrations, models


class Migration(migrations.Migration):
    """The column stays ``member_id``, and a row needs no ``answer``: processes of the older release write them so."""

    dependencies = [
        ('orders', '0002_messaging'),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveConstraint(model_name='idempotencykey', name='orders_idempotencykey_once'),
                migrations.RenameField(model_name='idempotencykey', old_name='member_id', new_name='user_id'),
                migrations.AlterField(
                    model_name='idempotencykey',
                    name='user_id',
                    field=models.BigIntegerField(db_column='member_id', verbose_name='user'),
                ),
                migrations.AddConstraint(
                    model_name='idempotencykey',
                    constraint=models.UniqueConstraint(fields=('user_id', 'key'), name='orders_idempotencykey_once'),
                ),
            ],
        ),
        migrations.AlterField(
            model_name='idempotencykey',
            name='order_id',
            field=models.UUIDField(blank=True, null=True, verbose_name='order'),
        ),
        migrations.AddField(
            model_name='idempotencykey',
            name='answer',
            field=models.TextField(blank=True, db_default='', default='', verbose_name='answer, as JSON'),
        ),
    ]
