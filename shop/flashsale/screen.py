"""A sale on the screen: bars while it goes on, a table at its end."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from types import MappingProxyType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from shop.flashsale.figures import Figures, Latency
from shop.flashsale.mix_figures import MixFigures
from shop.flashsale.sale import Listener

COLUMNS = (TextColumn("{task.description:9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())

CLOCKS = (
    "intake: from sending an order to its answer, tries included, by the buyer's clock. decided: from the order's "
    "row to its decision, by the database's. The row is written within the intake, so decided may be shorter. gate: "
    "from the reservation of the last unit, by the inventory's clock, to the first refusal as sold out, by the buyers'."
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
    console: Console,
    figures: Figures | MixFigures,
    listener: Listener,
    *,
    faults: Mapping[str, int] = MappingProxyType({}),
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
        elif isinstance(value, dict):
            for code, count in value.items():
                table.add_row(f"cancelled: {code.replace('_', ' ')}", f"{count:,}")
        elif isinstance(value, int | float):
            table.add_row(name, f"{value:,}")
    table.add_section()
    for kind, count in faults.items():
        table.add_row(kind.replace("_", " "), f"{count:,}")
    console.print(table)
    if isinstance(figures, Figures):
        console.print(_of_the_gate(figures), highlight=False)
        console.print(CLOCKS, style="dim")
    for code, count in listener.refused.most_common():
        console.print(f"refused: {count} × {code}")


def _of_the_gate(figures: Figures) -> str:
    """Say what the sold-out gate did, in a sentence."""
    created = f"{figures.cancelled:,} were still created and then cancelled"
    if not figures.refused_sold_out:
        return f"sold-out gate: no buyer met it closed; {created}"
    within = figures.gate_closed_within_ms
    closed = "" if within is None else f"closed within {within:,} ms after the last unit was reserved, "
    return f"sold-out gate: {closed}refused {figures.refused_sold_out:,} orders; {created}"
