"""A sale on the screen: bars while it goes on, a table at its end."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from types import MappingProxyType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from shop.flashsale.figures import Figures, Latency
from shop.flashsale.sale import Listener

COLUMNS = (TextColumn("{task.description:9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())

CLOCKS = (
    "intake: from sending an order to its answer, tries included, by the buyer's clock. decided: from the order's "
    "row to its decision, by the database's. The row is written within the intake, so decided may be shorter."
)


@contextmanager
def watched(console: Console, buyers: int) -> Iterator[Listener]:
    """Bars, if a person is watching; lines otherwise."""
    with Progress(*COLUMNS, console=console, disable=not console.is_terminal) as progress:
        answered = progress.add_task("answered", total=buyers)
        decided = progress.add_task("decided", total=buyers)
        yield Listener(
            said=console.print,
            answered=lambda count: progress.update(answered, completed=count),
            decided=lambda count: progress.update(decided, completed=count),
        )


def show(
    console: Console, figures: Figures, listener: Listener, *, faults: Mapping[str, int] = MappingProxyType({})
) -> None:
    """Print the table.

    :param faults: what broke meanwhile, and how often: a line for each.
    """
    table = Table(title=figures.sku, show_header=False)
    for field in fields(figures):
        name, value = field.name.replace("_", " "), getattr(figures, field.name)
        if isinstance(value, Latency):
            for percentile, milliseconds in asdict(value).items():
                table.add_row(f"{name.removesuffix(' ms')} {percentile}", f"{milliseconds:,} ms")
        elif isinstance(value, int | float):
            table.add_row(name, f"{value:,}")
    table.add_section()
    for kind, count in faults.items():
        table.add_row(kind.replace("_", " "), f"{count:,}")
    console.print(table)
    console.print(CLOCKS, style="dim")
    for code, count in listener.refused.most_common():
        console.print(f"refused: {count} × {code}")
