import django.db.models.functions.text
import django.db.models.lookups
import shop.catalogue.models
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


# Nested so deeply, neither a page nor an answer could be made of them: they are kept as text. Nobody may add some
# meanwhile, so writers wait.
DEEP_TO_TEXT = """
LOCK TABLE catalogue_product IN SHARE ROW EXCLUSIVE MODE;
UPDATE catalogue_product SET attributes = jsonb_build_object('text', attributes::text)
WHERE jsonb_path_exists(attributes, 'strict $.**{100}');
"""


class Migration(migrations.Migration):
    """Not valid: rows that an older release let in stay as they are, until they are changed (ADR 31)."""

    dependencies = [
        ('catalogue', '0003_idempotencykey'),
    ]

    operations = [
        migrations.RunSQL(DEEP_TO_TEXT, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name='product',
            name='attributes',
            field=models.JSONField(blank=True, default=dict, help_text='Whatever else describes it, as a JSON object.', validators=[shop.catalogue.models.validate_attributes]),
        ),
        migrations.AlterField(
            model_name='product',
            name='description',
            field=models.TextField(blank=True, max_length=20000),
        ),
        AddConstraintNotValid(
            model_name='product',
            constraint=models.CheckConstraint(condition=django.db.models.lookups.LessThanOrEqual(django.db.models.functions.text.Length('description'), 20000), name='catalogue_product_description'),
        ),
        AddConstraintNotValid(
            model_name='product',
            constraint=models.CheckConstraint(condition=models.Func(models.F('attributes'), output_field=models.BooleanField(), template="jsonb_typeof(%(expressions)s) = 'object'"), name='catalogue_product_attributes_object'),
        ),
        AddConstraintNotValid(
            model_name='product',
            constraint=models.CheckConstraint(condition=models.Func(models.F('attributes'), output_field=models.BooleanField(), template='octet_length(%(expressions)s::text) <= 16384'), name='catalogue_product_attributes_size'),
        ),
        AddConstraintNotValid(
            model_name='product',
            constraint=models.CheckConstraint(condition=models.Func(models.F('attributes'), output_field=models.BooleanField(), template='NOT jsonb_path_exists(%(expressions)s, \'strict $.**{10} ? (@.type() == "object" || @.type() == "array")\')'), name='catalogue_product_attributes_depth'),
        ),
        AddConstraintNotValid(
            model_name='product',
            constraint=models.CheckConstraint(condition=models.Func(models.F('attributes'), output_field=models.BooleanField(), template="jsonb_array_length(jsonb_path_query_array(%(expressions)s, 'strict $.**')) <= 501"), name='catalogue_product_attributes_count'),
        ),
    ]
