"""The admin of the messaging: each context's tables, under the pages of this package."""

from django.contrib import admin

from shop.messaging.admin.deadletters import DeadLetterPage
from shop.messaging.admin.positions import CursorPage, FencePage, OutboxEventPage, SubscriptionPage
from shop.messaging.admin.retries import LetterRetryPage
from shop.messaging.contexts import contexts

PAGES = {
    "outboxevent": OutboxEventPage,
    "subscription": SubscriptionPage,
    "fence": FencePage,
    "cursor": CursorPage,
    "deadletter": DeadLetterPage,
    "letterretry": LetterRetryPage,
}

for _app in contexts():
    for _model, _page in PAGES.items():
        if _model in _app.models:
            admin.site.register(_app.get_model(_model), _page)
