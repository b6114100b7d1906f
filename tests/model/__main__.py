"""Search the configurations from the command line: ``python -m tests.model [--deep] [--states N] [NAME…]``."""

import argparse
import sys
import time

from tests.model.configurations import CONFIGURATIONS, deep
from tests.model.search import search

STATES = 2_000_000  # about 2 kB each


def main() -> int:
    """Search each configuration, and print what was found; 1 if that is a violation."""
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which to search (all): {', '.join(CONFIGURATIONS)}")
    parser.add_argument("--deep", action="store_true", help="one more of each fault, event and message: hours")
    parser.add_argument("--states", type=int, default=STATES, help="states of one search at most (%(default)s)")
    options = parser.parse_args()
    if unknown := set(options.names) - set(CONFIGURATIONS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    violated = False
    for name in options.names or CONFIGURATIONS:
        began = time.monotonic()
        configuration = CONFIGURATIONS[name]
        result = search(deep(configuration) if options.deep else configuration, limit=options.states)
        extent = "all" if result.complete else "the first"
        print(f"{name}: {extent} {result.states:,} states in {time.monotonic() - began:.1f} s", flush=True)
        if result.harm:
            violated = True
            print(result, flush=True)
        elif not result.complete:
            print("  whether it can get stuck was not checked: raise --states", flush=True)
    return int(violated)


if __name__ == "__main__":
    sys.exit(main())
