"""Who can reach a stack: on this machine it is open and quick to try, beyond it nobody gets in by what is known."""

import os
from collections.abc import Callable

from django.conf import settings

from shop.exposure import fault_of, is_loopback
from shop.local.seed import Logins
from shop.local.servers.binaries import ServerError

RAISED = {
    "ORDERS_PER_MEMBER": "6000/m",
    "ORDERS_PER_ADDRESS": "60000/m",
    "SEARCHES_PER_MEMBER": "6000/m",
    "SEARCHES_PER_ADDRESS": "60000/m",
}
"""Limits of a stack on one machine: there 50 sample members play thousands of buyers, all from one address."""


def check_key(host: str) -> None:
    """:raises ServerError: if others can reach ``host``, and forge a session."""
    if not is_loopback(host) and (fault := fault_of(settings.SECRET_KEY)):
        raise ServerError(f"Others can reach {host}, but {fault}")


def check_logins(host: str, logins: Logins) -> None:
    """:raises ServerError: if others can reach ``host``, and know the sample admin's password."""
    admin = logins["admin"]
    if not is_loopback(host) and admin["password"]:
        raise ServerError(
            f"Others can reach {host}, and everybody knows the password of {admin['username']!r}: "
            f"change it first, with manage.py changepassword {admin['username']}"
        )


def raise_limits(host: str, say: Callable[[str], None]) -> None:
    """Let the programs that are started from now on have higher limits, unless others can reach them."""
    raised = {name: rate for name, rate in RAISED.items() if name not in os.environ}
    if is_loopback(host) and raised:
        os.environ.update(raised)
        say("limits for sales on one machine: " + " ".join(f"{name}={rate}" for name, rate in raised.items()))
