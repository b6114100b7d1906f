"""``python -m shop.local start|stop|status|clean [--instance NAME]``: the embedded servers by hand."""

import argparse
import os
import sys

from shop.local.servers import lifecycle
from shop.local.servers.addresses import broker_url, data_folder, database_url
from shop.local.servers.valkey import Valkey


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m shop.local", description="The embedded servers of this checkout.")
    parser.add_argument("act", choices=["start", "stop", "status", "clean"], help="clean: stop, and delete all data")
    parser.add_argument("--instance", default=os.environ.get("SHOP_INSTANCE", "dev"), help="default: %(default)s")
    arguments = parser.parse_args()
    try:
        globals()[arguments.act](arguments.instance)
    except (lifecycle.ServerError, ValueError) as error:
        sys.exit(str(error))


def start(instance: str) -> None:
    started = lifecycle.ensure_running(instance)
    print(f"started {', '.join(started)}" if started else "they run already")
    status(instance)


def stop(instance: str) -> None:
    stopped = lifecycle.stop(instance)
    print(f"stopped {', '.join(stopped)}" if stopped else "nothing runs")


def status(instance: str) -> None:
    for server in lifecycle.servers(instance):
        state = f"runs, pid {server.pid()}" if server.running() else "does not run"
        print(f"{server.name} of instance {instance}: {state}; log {server.log}")
    print(f"data      {data_folder(instance)}")
    print(f"database  {database_url('postgres', instance)}")
    print(f"broker    {broker_url(instance)}")
    print(f"          {Valkey(instance).url()} (for Redis's own tools)")


def clean(instance: str) -> None:
    lifecycle.clean(instance)
    print(f"instance {instance} is gone")


if __name__ == "__main__":
    main()
