"""``python -m bench [--orders N] [--web]``: runs a measurement and prints it; the flow also to ``var/bench.json``."""

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

from bench import flow, web
from shop.local.servers import lifecycle


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--orders", type=int, default=20_000, help="open orders to decide (default: %(default)s)")
    parser.add_argument("--lines", type=int, default=1, help="lines of each order (default: %(default)s)")
    parser.add_argument("--skus", type=int, default=1_000, help="products they are spread over (default: %(default)s)")
    parser.add_argument("--web", action="store_true", help="measure the web process beside plain WSGI instead")
    arguments = parser.parse_args()
    console = Console()
    lifecycle.clean(settings.INSTANCE)  # whatever an earlier run left
    lifecycle.ensure_running(settings.INSTANCE, lifecycle.NAMES)
    try:
        if arguments.web:
            _show_web(console)
            return
        result = flow.measure(console, orders=arguments.orders, lines=arguments.lines, skus=arguments.skus)
    finally:
        lifecycle.clean(settings.INSTANCE)
    table = Table("flow", "orders", "seconds", "decided per second")
    table.add_row("raw SQL, one script", f"{result['orders']:,}", f"{result['floor_s']}", f"{result['floor_per_s']:,}")
    table.add_row("ours, through Celery", f"{result['orders']:,}", f"{result['ours_s']}", f"{result['ours_per_s']:,}")
    console.print(table)
    console.print(f"ratio {result['ratio']} (target: at least 0.6)")
    path = settings.BASE_DIR / "var" / "bench.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"flow": result}, indent=2) + "\n")
    console.print(f"written to {path.relative_to(settings.BASE_DIR)}")


def _show_web(console: Console) -> None:
    table = Table("web", "clients", "requests per second", "CPU per request, ms")
    for each in web.measure(console):
        table.add_row(each.server, str(each.clients), f"{each.per_second:.0f}", f"{each.cpu_ms:.2f}")
    console.print(table)


if __name__ == "__main__":
    main()
