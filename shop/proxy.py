"""Who really asks, and over what: what a reverse proxy says of its client, believed from trusted proxies alone.

A proxy that ends TLS speaks plain HTTP with this process, from its own address. It says ``X-Forwarded-Proto`` and
``X-Forwarded-For``, and so can anybody: only the peers in ``TRUSTED_PROXY`` are believed. What was said is taken
out of the request in any case, so that nothing behind this middleware reads it a second time, in another way.
RFC 7239's ``Forwarded`` is not read.
"""

import logging
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Self

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponseBase

log = logging.getLogger(__name__)

Address = IPv4Address | IPv6Address

UNIX = "unix"  # in TRUSTED_PROXY: whoever may open the socket, which its file's permissions decide
SCHEMES = ("http", "https")
UNKNOWN_SCHEME = "shop.unknown_scheme"  # set in ``META`` where a peer that is not trusted forwards a request

FOR, PROTO = "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO"
SAID = (FOR, PROTO, "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PORT", "HTTP_X_REAL_IP", "HTTP_FORWARDED")


@dataclass(frozen=True)
class Trusted:
    """The proxies that are believed."""

    networks: tuple[IPv4Network | IPv6Network, ...] = field(default=())
    unix: bool = False

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Self:
        """Read addresses, networks and ``unix``. :raises ImproperlyConfigured: for anything else."""
        names = [text.strip() for text in texts]
        try:
            networks = tuple(ip_network(name) for name in names if name != UNIX)
        except ValueError as error:
            raise ImproperlyConfigured(f"TRUSTED_PROXY takes addresses, networks and `unix`: {error}.") from None
        if any(network.prefixlen == 0 for network in networks):
            raise ImproperlyConfigured("TRUSTED_PROXY names everybody: name the proxies' addresses or networks.")
        return cls(networks, UNIX in names)

    def has(self, peer: str) -> bool:
        """Tell whether a peer is believed, by its ``REMOTE_ADDR``: servers leave it empty for a unix socket."""
        address = parsed(peer)
        if address is None:
            return self.unix and peer.partition(":")[0] in ("", UNIX)
        return any(address in network for network in self.networks)

    def client(self, forwarded_for: str, peer: str) -> tuple[str, int]:
        """Return the address that the request came from, and how many trusted proxies stand before the peer.

        Each proxy appends whom it heard, so the last entry that is no trusted proxy is the client, and what is to
        the left of it is the client's own claim. Where a proxy could not tell, its own address is all that is known.
        """
        address, hops = peer, 0
        for entry in reversed(_entries(forwarded_for)):
            heard = parsed(entry)
            if heard is None:
                break
            address = str(heard)
            if not self.has(address):
                break
            hops += 1
        return address, hops


def parsed(text: str) -> Address | None:
    """Read an address, with or without a port, brackets or a zone; ``None`` if it is none."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def scheme(forwarded_proto: str, hops: int) -> str | None:
    """Return the scheme that the client used; ``None`` if the proxies do not say.

    A lone value was set by the proxy that ended TLS and passed on; in a list, each proxy appended its own.
    """
    entries = _entries(forwarded_proto)
    if not entries:
        return None
    said = entries[max(len(entries) - 1 - hops, 0)].lower()
    return said if said in SCHEMES else None


def _entries(header: str) -> list[str]:
    return [entry.strip() for entry in header.split(",") if entry.strip()]


class TrustedProxy:
    """Middleware, and the first: what follows sees the client's address and scheme as if there were no proxy."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.trusted = Trusted.parse(settings.TRUSTED_PROXY)
        self.warned = False

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        self.correct(request.META)
        return self.get_response(request)

    def correct(self, environ: MutableMapping[str, Any]) -> None:
        """Take what was forwarded out of a WSGI environment, and believe it if a trusted proxy said it."""
        said = {name: environ.pop(name) for name in SAID if name in environ}
        if not said:
            return
        peer = environ.get("REMOTE_ADDR", "")
        if not self.trusted.has(peer):
            environ[UNKNOWN_SCHEME] = True
            self._warn(peer)
            return
        client, hops = self.trusted.client(said.get(FOR, ""), peer)
        environ["REMOTE_ADDR"] = client
        if seen := scheme(said.get(PROTO, ""), hops):
            environ["wsgi.url_scheme"] = seen

    def _warn(self, peer: str) -> None:
        """Once for each process: whoever sends such headers shall not fill the log."""
        if not self.warned:
            self.warned = True
            log.warning("X-Forwarded headers of %s are ignored: it is not in TRUSTED_PROXY", peer or "a unix socket")
