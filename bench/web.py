"""The web process beside plain WSGI: the same Django, the same server, alternating, at several numbers of clients."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import aiohttp
import psutil
from django.conf import settings
from django.core.management import call_command
from rest_framework.authtoken.models import Token
from rich.console import Console

from shop.local.stack import ports, running
from shop.members.services import join

ROUNDS = 3
REQUESTS = 400  # in a round
CLIENTS = (1, 8, 32)
WSGI = f"granian shop.wsgi:application --interface wsgi --no-ws --blocking-threads {settings.WEB_THREADS}"


class Round(NamedTuple):
    """One server under a number of clients: how fast it was, and what each request cost it."""

    server: str
    clients: int
    per_second: float
    cpu_ms: float


def measure(console: Console) -> list[Round]:
    """Ask both servers for a member's own page, in turn."""
    with console.status("databases"):
        call_command("migrate", verbosity=0)
        member = join(username="bench", name="Bench")
        token = Token.objects.get_or_create(user=member.user)[0].key
    rounds = []
    with (
        console.status("the web process and plain WSGI, in turn"),
        _server(WSGI) as wsgi,
        _server(running.WEB_SERVER) as ours,
    ):
        for clients in CLIENTS:
            for _ in range(ROUNDS):
                for name, (port, process) in {"plain WSGI": wsgi, "ours": ours}.items():
                    cpu, start = _cpu(process), time.perf_counter()
                    asyncio.run(_ask(port, token, clients))
                    seconds = time.perf_counter() - start
                    rounds.append(Round(name, clients, REQUESTS / seconds, (_cpu(process) - cpu) / REQUESTS * 1000))
    return rounds


async def _ask(port: int, token: str, clients: int) -> None:
    left = iter(range(REQUESTS))
    async with aiohttp.ClientSession(headers={"Authorization": f"Token {token}"}) as session:

        async def client() -> None:
            for _ in left:
                async with session.get(f"http://127.0.0.1:{port}/api/members/me/") as answer:
                    answer.raise_for_status()
                    await answer.read()

        await asyncio.gather(*(client() for _ in range(clients)))


@contextmanager
def _server(command: str) -> Iterator[tuple[int, psutil.Process]]:
    with ports.reserve("127.0.0.1", 8000, or_next=True) as free:
        port = int(free.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, "-m", *command.split(), "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        asyncio.run(_ready(port))
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


async def _ready(port: int) -> None:
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"http://127.0.0.1:{port}/livez"):
                    return
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)


def _cpu(process: psutil.Process) -> float:
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return sum(each.user + each.system for each in times)
