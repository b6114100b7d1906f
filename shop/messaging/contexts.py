"""The contexts that exchange events, as Django apps, and where their messaging tables are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar, cast

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Model

from shop.databases import alias_of

M = TypeVar("M", bound=Model)


@dataclass(frozen=True, slots=True)
class Entry:
    """A link of the admin's sidebar to the list of a model."""

    title: str
    model: str
    """Of this context, or ``app_label.model``."""
    icon: str
    """A name of Material Symbols."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """A task that beat sends to the context's own queue, again and again."""

    name: str
    """Of the entry in beat's schedule."""
    task: str
    every: float
    """Seconds."""


class ContextConfig(AppConfig):
    """An app that is a context: it may own an outbox, and cursors over others' outboxes.

    Its ``models.py`` declares concrete tables from the abstract ones of :mod:`shop.messaging.models`, under the same
    names: the tables that it has decide what it takes part in. Add the app to :mod:`shop.contexts`.
    """

    default = False  # Django is to pick the subclass

    menu: tuple[Entry, ...] = ()
    """What the admin's sidebar shows of it, under its ``verbose_name``."""

    roles: Mapping[str, tuple[str, ...]] = {}
    """By the name of a staff role, the permissions on this context's models that it takes: ``view_order``."""

    sweeps: tuple[Sweep, ...] = ()

    def ready(self) -> None:
        """:raises ImproperlyConfigured: if the settings know no database for it."""
        if self.label not in settings.CONTEXTS:
            raise ImproperlyConfigured(f"{self.name} is a context: add it to APPS in shop/contexts.py")

    @property
    def database(self) -> str:
        """The alias of the context's own database."""
        return alias_of(self.label)

    def table(self, abstract: type[M]) -> type[M]:
        """Return the context's table of an abstract one of :mod:`shop.messaging.models`.

        :raises LookupError: if the context declares none.
        """
        return cast(type[M], self.get_model(abstract.__name__))

    @property
    def publishes(self) -> bool:
        """Whether the context has an outbox."""
        return "outboxevent" in self.models

    @property
    def consumes(self) -> bool:
        """Whether the context has cursors over others' outboxes."""
        return "cursor" in self.models


def context(label: str) -> ContextConfig:
    """Return the context of that name. :raises LookupError: if there is none."""
    app = apps.get_app_config(label)
    if not isinstance(app, ContextConfig):
        raise LookupError(f"app {label!r} is not a context")
    return app


def contexts() -> list[ContextConfig]:
    """Return every context, in the order of ``INSTALLED_APPS``."""
    return [app for app in apps.get_app_configs() if isinstance(app, ContextConfig)]


def publishers() -> list[ContextConfig]:
    """Return the contexts that own an outbox."""
    return [app for app in contexts() if app.publishes]
