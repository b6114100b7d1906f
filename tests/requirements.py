"""Checks, without a network, that each requirements*.txt is what its .in asks for: whole, exact and hashed.

``python -m tests.requirements`` prints what is not so, and exits with 1.
"""

import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("requirements", "requirements-dev")


def asked(name: str) -> list[Requirement]:
    """What an .in file asks for, and what the files that it includes do."""
    found = []
    for line in (ROOT / f"{name}.in").read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("-r "):
            found += asked(text.removeprefix("-r ").removesuffix(".in"))
        elif text:
            found.append(Requirement(text))
    return found


def pinned(name: str) -> dict[str, tuple[Requirement, int]]:
    """What a .txt file pins, by name: with the number of its hashes."""
    text = re.sub(r"#.*", "", (ROOT / f"{name}.txt").read_text(encoding="utf-8"))
    pins = {}
    for entry in text.replace("\\\n", " ").splitlines():
        if entry.strip():
            pin = Requirement(entry.partition("--hash")[0])
            pins[canonicalize_name(pin.name)] = pin, len(re.findall(r"--hash=sha256:[0-9a-f]{64}(?!\S)", entry))
    return pins


def faults(name: str) -> list[str]:
    """What is wrong with a .txt file."""
    pins = pinned(name)
    found = [f"{key} is not pinned" for key, (pin, _) in pins.items() if not str(pin.specifier).startswith("==")]
    found += [f"{key} has no hashes" for key, (_, hashes) in pins.items() if not hashes]
    wanted, seen = asked(name), set()
    found += [f"{want} is not what {name}.txt has" for want in wanted if not _satisfied(want, pins)]
    while wanted:  # and what those bring, on this machine and Python
        want = wanted.pop()
        key = canonicalize_name(want.name)
        if key not in pins:
            found.append(f"{key} is not in {name}.txt")
            continue
        for requirement in _brought_by(key):
            extras = sorted(want.extras) or [""]
            marker = requirement.marker
            if (marker is None or any(marker.evaluate({"extra": extra}) for extra in extras)) and str(
                requirement
            ) not in seen:
                seen.add(str(requirement))
                wanted.append(requirement)
    return sorted(set(found))


def _satisfied(want: Requirement, pins: dict[str, tuple[Requirement, int]]) -> bool:
    pin = pins.get(canonicalize_name(want.name))
    return pin is not None and pin[0].specifier == want.specifier


def _brought_by(name: str) -> list[Requirement]:
    try:
        return [Requirement(text) for text in distribution(name).requires or ()]
    except PackageNotFoundError:  # of the other file, or of another system
        return []


if __name__ == "__main__":
    wrong = [f"{name}.txt: {fault}" for name in NAMES for fault in faults(name)]
    print("\n".join([*wrong, "Run `make requirements`."]) if wrong else "requirements*.txt are whole")
    sys.exit(bool(wrong))
