"""The contexts that exchange events, as Django apps, and where their messaging tables are."""

from typing import TypeVar, cast

from django.apps import AppConfig, apps
from django.db.models import Model

from shop.databases import alias_of

M = TypeVar("M", bound=Model)


class ContextConfig(AppConfig):
    """An app that is a context: it may own an outbox, and cursors over others' outboxes.

    Its ``models.py`` declares the concrete tables from the abstract ones of
    :mod:`shop.messaging.models`, under the same names.
    """

    default = False  # Django is to pick the subclass

    @property
    def database(self) -> str:
        """The alias of the context's own database."""
        return alias_of(self.label)

    def table(self, abstract: type[M]) -> type[M]:
        """The context's own table of an abstract one of :mod:`shop.messaging.models`.

        :raises LookupError: if the context declares none.
        """
        return cast(type[M], self.get_model(abstract.__name__))

    @property
    def publishes(self) -> bool:
        """Whether the context has an outbox."""
        return "outboxevent" in self.models


def context(label: str) -> ContextConfig:
    """The context of that name. :raises LookupError: if there is none."""
    found = apps.get_app_config(label)
    if not isinstance(found, ContextConfig):
        raise LookupError(f"app {label!r} is not a context")
    return found


def contexts() -> list[ContextConfig]:
    """Every context, in the order of ``INSTALLED_APPS``."""
    return [app for app in apps.get_app_configs() if isinstance(app, ContextConfig)]


def publishers() -> list[ContextConfig]:
    """The contexts that own an outbox."""
    return [app for app in contexts() if app.publishes]
