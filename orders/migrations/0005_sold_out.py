from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0004_life'),
    ]

    operations = [
        migrations.AddField(
            model_name='productcopy',
            name='sold_out',
            field=models.BooleanField(db_default=False, default=False, help_text='A courtesy: reservations decide.'),
        ),
    ]
