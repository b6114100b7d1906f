"""Real proxies that end TLS in front of a server: nginx and Caddy with the recipes of deploy/, and a small one."""

import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from tests.harness import eventually
from tests.journeys.web import running

RECIPES = Path(__file__).resolve().parent.parent.parent / "deploy"
BETWEEN = {"connection", "transfer-encoding", "server", "date"}  # headers of one hop


class Certificate:
    """A certificate for localhost, and who signed it."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        issued = self.authority.issue_cert("localhost")
        self.chain, self.key = folder / "chain.pem", folder / "key.pem"
        self.chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        self.key.write_bytes(issued.private_key_pem.bytes())

    def client_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context


Proxy = Callable[[int, Certificate, Path], "contextmanager[int]"]


@contextmanager
def small(upstream: int, certificate: Certificate, folder: Path) -> Iterator[int]:
    """A proxy of a few lines, where no other is installed."""

    class Forwarding(BaseHTTPRequestHandler):
        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name: value for name, value in self.headers.items() if name.lower() not in BETWEEN}
            headers |= {"X-Forwarded-Proto": "https", "X-Forwarded-For": self.client_address[0]}
            server = HTTPConnection("127.0.0.1", upstream, timeout=30)
            server.request(self.command, self.path, body, headers)
            answer = server.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in BETWEEN | {"content-length"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            server.close()

        do_GET = do_POST = forward  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Forwarding)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with running(server) as port:
        yield port


@contextmanager
def nginx(upstream: int, certificate: Certificate, folder: Path) -> Iterator[int]:
    plain, port = free_ports(2)
    site = recipe(
        "nginx.conf",
        {
            "127.0.0.1:8000": f"127.0.0.1:{upstream}",
            "listen 80;": f"listen 127.0.0.1:{plain};",
            "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
            "/etc/ssl/shop.example/fullchain.pem": str(certificate.chain),
            "/etc/ssl/shop.example/privkey.pem": str(certificate.key),
            "shop.example": "localhost",
        },
    )
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{temporary}{site}\n}}\n"
    )
    command = [installed("nginx"), "-p", str(folder), "-e", f"{folder}/nginx.log", "-c", str(configuration)]
    with listening(command, port, folder):
        yield port


@contextmanager
def caddy(upstream: int, certificate: Certificate, folder: Path) -> Iterator[int]:
    (port,) = free_ports(1)
    site = recipe(
        "Caddyfile",
        {
            "127.0.0.1:8000": f"127.0.0.1:{upstream}",
            "shop.example {": f"https://localhost:{port} {{\n\ttls {certificate.chain} {certificate.key}",
        },
    )
    configuration = folder / "Caddyfile"
    configuration.write_text(f"{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{site}")
    command = [installed("caddy"), "run", "--adapter", "caddyfile", "--config", str(configuration)]
    with listening(command, port, folder):
        yield port


def installed(program: str) -> str:
    """Where it is. Without it its tests are skipped: it is no part of the shop."""
    found = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


def recipe(name: str, changes: dict[str, str]) -> str:
    """A file of deploy/, with this machine's addresses and paths."""
    text = (RECIPES / name).read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text, f"{name} has no {old}"
        text = text.replace(old, new)
    return text


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@contextmanager
def listening(command: list[str], port: int, folder: Path) -> Iterator[None]:
    """A server that runs in the foreground."""
    said = folder / "output"
    home = os.environ | {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with said.open("w") as output, subprocess.Popen(command, stdout=output, stderr=output, env=home) as process:

        def answers() -> bool:
            assert process.poll() is None, said.read_text()
            with socket.socket() as client:
                return client.connect_ex(("127.0.0.1", port)) == 0

        try:
            eventually(answers)
            yield
        finally:
            process.terminate()
