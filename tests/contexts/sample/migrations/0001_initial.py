"""The sample's tables as its models are today: it has no past to migrate."""

from collections.abc import Iterator

from django.apps import apps
from django.db import migrations
from django.db.migrations.state import ModelState

from shop.messaging.producer.partitions import CreateOutboxEvent


def tables() -> Iterator[migrations.CreateModel]:
    for model in apps.get_app_config("sample").get_models():
        state = ModelState.from_model(model)
        create = CreateOutboxEvent if state.name == "OutboxEvent" else migrations.CreateModel
        yield create(state.name, list(state.fields.items()), state.options, managers=state.managers)


class Migration(migrations.Migration):
    initial = True
    operations = list(tables())
