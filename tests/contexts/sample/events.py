"""What the sample says."""

from shop.messaging.events import Event, event


@event("sample.greeted")
class Greeted(Event):
    """Somebody was greeted."""

    name: str


@event("sample.turned-away")
class TurnedAway(Event):
    """Somebody was not greeted."""

    name: str
