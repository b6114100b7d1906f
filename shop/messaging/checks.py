"""What ``manage.py check --deploy`` says about messages that anybody may write."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register

UNSIGNED = Warning(
    "MESSAGE_KEYS is not set: whoever can write to the broker can forge events and acknowledgements.",
    hint="Give all workers the same random key of 32 characters or more; see docs/operations.md, Signing messages.",
    id="messaging.W001",
)

NOT_REQUIRED = Warning(
    "MESSAGE_SIGNATURES is not 'require': messages without a signature are still taken.",
    hint="Set it once the workers no longer log 'unsigned messages come'.",
    id="messaging.W002",
)


@register(Tags.security, deploy=True)
def check_signatures(**kwargs: Any) -> list[CheckMessage]:
    """Warn unless messages are signed, and have to be."""
    if not settings.MESSAGE_KEYS:
        return [UNSIGNED]
    return [] if settings.MESSAGE_SIGNATURES == "require" else [NOT_REQUIRED]
