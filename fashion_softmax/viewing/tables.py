"""Tables in the terminal, and numbers as text."""

from collections.abc import Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from fashion_softmax.runs.records import is_accuracy

NOTHING = "-"
MIN_NUMBERS = 2

Row = tuple[dict[str, str], dict[str, str]]  # texts and numbers, each by the title of its column


def show_table(console: Console, title: str, rows: Sequence[Row], limit: int = 0) -> list[str]:
    """Show rows; numbers that no row has are left out, and the last ones where the terminal is too narrow.

    Args:
        console: to print on.
        title: of the table.
        rows: at least one, all with the same columns. Texts that are too long are folded, numbers are not; the first
            `MIN_NUMBERS` of these are shown in any terminal.
        limit: rows that are shown; 0 for all.

    Returns:
        The titles of the columns that are shown.
    """
    shown = rows[: limit or None]
    texts = list(shown[0][0])
    numbers = [name for name in shown[0][1] if any(cells[name] != NOTHING for _, cells in shown)]
    while True:
        table = Table(title=title, title_justify="left")
        for name in texts:
            table.add_column(name, overflow="fold", max_width=max(8, console.width // (1 + len(texts))))
        for name in numbers:
            table.add_column(name, justify="right", no_wrap=True)
        for words, cells in shown:
            table.add_row(*words.values(), *(cells[name] for name in numbers))
        width = Measurement.get(console, console.options.update(max_width=10_000), table).maximum
        if width <= console.width or len(numbers) <= MIN_NUMBERS:
            break
        numbers.pop()
    console.print(table)
    if len(rows) > len(shown):
        console.print(f"and {len(rows) - len(shown)} more: --limit 0 shows all", soft_wrap=True)
    return texts + numbers


def name_metric(tag: str) -> str:
    """Name a tag, such as `test cross-entropy`."""
    return tag.replace("/", " ").replace("cross_entropy", "cross-entropy")


def format_value(value: float | None, metric: str, deviation: float | None = None) -> str:
    """Format a value of a metric with its unit, and its deviation if there is one, such as `83.18 ± 0.20 %`."""
    if value is None:
        return NOTHING
    spread = "" if deviation is None else f" ± {format_number(deviation, metric)}"
    return f"{format_number(value, metric)}{spread}{' %' if is_accuracy(metric) else ''}"


def format_number(value: float, metric: str) -> str:
    """Format a value of a metric without its unit: percent for an accuracy, four decimals for others."""
    if is_accuracy(metric):
        return f"{100 * value:.2f}"
    return f"{value:.4f}" if abs(value) < 1e5 else f"{value:.3g}"


def format_p(p_value: float) -> str:
    """Format a p-value; a very small one without its digits."""
    return f"{p_value:.3f}" if p_value >= 0.001 else "< 0.001"
