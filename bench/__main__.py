"""``python -m bench [--orders N] [--web | --credit]``: runs a measurement and prints it; the flow also to a file."""

import argparse
import json
import os

os.environ["SHOP_INSTANCE"] = "bench"
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
os.environ.setdefault("LOG_LEVEL", "WARNING")

import django

django.setup()

from django.conf import settings
from rich.console import Console
from rich.table import Table

from bench import credit, flow, web
from shop.local.servers import lifecycle


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--orders", type=int, default=20_000, help="open orders to decide (default: %(default)s)")
    parser.add_argument("--lines", type=int, default=1, help="lines of each order (default: %(default)s)")
    parser.add_argument("--skus", type=int, default=1_000, help="products they are spread over (default: %(default)s)")
    parser.add_argument("--web", action="store_true", help="measure the web process beside plain WSGI instead")
    parser.add_argument("--credit", action="store_true", help="measure how long loading a credit account takes instead")
    arguments = parser.parse_args()
    console = Console()
    lifecycle.clean(settings.INSTANCE)  # whatever an earlier run left
    lifecycle.ensure_running(settings.INSTANCE, lifecycle.NAMES)
    try:
        if arguments.web:
            _show_web(console)
            return
        if arguments.credit:
            _show_credit(console)
            return
        wanted = {"orders": arguments.orders, "lines": arguments.lines, "skus": arguments.skus}
        alone = flow.measure(console, participants=("inventory",), **wanted)
        result = flow.measure(console, participants=("inventory", "members"), **wanted)
    finally:
        lifecycle.clean(settings.INSTANCE)
    table = Table("flow", "deciding", "orders", "seconds", "decided per second")
    for each in (alone, result):
        deciding, orders = " and ".join(each["participants"]), f"{each['orders']:,}"
        table.add_row("raw SQL, one script", deciding, orders, f"{each['floor_s']}", f"{each['floor_per_s']:,}")
        table.add_row("ours, through Celery", deciding, orders, f"{each['ours_s']}", f"{each['ours_per_s']:,}")
    console.print(table)
    console.print(f"ratio {alone['ratio']} without credit, {result['ratio']} with it (target: at least 0.6)")
    path = settings.BASE_DIR / "var" / "bench.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"flow": result, "flow_without_credit": alone}, indent=2) + "\n")
    console.print(f"written to {path.relative_to(settings.BASE_DIR)}")


def _show_web(console: Console) -> None:
    table = Table("web", "clients", "requests per second", "CPU per request, ms")
    for each in web.measure(console):
        table.add_row(each.server, str(each.clients), f"{each.per_second:.0f}", f"{each.cpu_ms:.2f}")
    console.print(table)


def _show_credit(console: Console) -> None:
    table = Table("credit", "events", "from version 0, ms", "locked, with snapshot, ms", "read, with snapshot, ms")
    for each in credit.measure(console):
        table.add_row(
            f"{each.tail} after the snapshot",
            f"{each.events:,}",
            f"{each.folded_ms:.2f}",
            f"{each.locked_ms:.2f}",
            f"{each.read_ms:.2f}",
        )
    console.print(table)


if __name__ == "__main__":
    main()
