"""What every verb shares: --json, --seed, -v/-q, tables on a terminal, progress with an ETA on stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isfinite
from typing import Any, TypeVar

import click

from mnas.progress import Progress, silent

F = TypeVar("F", bound=Callable[..., Any])


class Output:
    """Where a verb's results go: one JSON document, or tables for people."""

    def __init__(self, schema: str, as_json: bool, quiet: bool) -> None:
        self.schema, self.as_json, self.quiet = schema, as_json, quiet

    def emit(self, document: Mapping[str, Any], *, people: Callable[[], None]) -> None:
        """Print `document` as JSON where asked to, else let `people` print."""
        if self.as_json:
            click.echo(json.dumps({"schema": self.schema, **document}, indent=1, default=str, allow_nan=False))
        else:
            people()

    @contextmanager
    def progress(self, title: str) -> Iterator[Progress]:
        """A progress bar with an ETA on a terminal; a line every 10 seconds elsewhere; nothing when quiet."""
        if self.quiet:
            yield silent
        elif sys.stderr.isatty():
            with _bar(title) as show:
                yield show
        else:
            yield _lines(title)


@contextmanager
def _bar(title: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("eta"),
        TimeRemainingColumn(), TextColumn("{task.fields[note]}"),
    )  # fmt: skip
    with RichProgress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, note="", total=None)
        yield lambda done, total, note: bar.update(task, completed=done, total=total, note=note)


def _lines(title: str) -> Progress:
    """A line every ten seconds; another total is another piece of work, which may be begun already."""
    start = last = time.monotonic()
    known, before = 0, 0

    def show(done: int, total: int, note: str) -> None:
        nonlocal start, last, known, before
        now = time.monotonic()
        if total != known:
            start, known, before = now, total, max(0, done - 1)
        if now - last < 10 and done < total:
            return
        last, elapsed = now, now - start
        each = elapsed / (done - before) if done > before else 0.0
        eta = f"eta {each * (total - done):.0f} s" if each and done < total else f"{elapsed:.0f} s"
        click.echo(f"{title}  {done}/{total}  {eta}  {note}".rstrip(), err=True)

    return show


def verb(schema: str) -> Callable[[F], F]:
    """Give a command the options that all verbs have; it receives an `Output` as `output`, and `seed`."""

    def decorate(function: F) -> F:
        def wrapper(*, as_json: bool, verbose: bool, quiet: bool, **given: Any) -> Any:
            click.get_current_context().find_root().obj = verbose
            return function(output=Output(schema, as_json, quiet), **given)

        wrapper.__name__, wrapper.__doc__ = function.__name__, function.__doc__
        wrapper.__dict__.update(function.__dict__)
        out: Any = wrapper
        for option in (
            click.option("-q", "--quiet", is_flag=True, help="No progress."),
            click.option("-v", "--verbose", is_flag=True, help="Show where an error comes from."),
            click.option(
                "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of everything random."
            ),
            click.option("--json", "as_json", is_flag=True, help=f"Print one JSON document ({schema})."),
        ):
            out = option(out)
        return out  # type: ignore[no-any-return]

    return decorate


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], caption: str = "") -> None:
    """Print a table: rich on a terminal, aligned text elsewhere; numbers are right-aligned."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    shown = Table(title=title, caption=caption, box=box.SIMPLE_HEAD, title_justify="left", caption_justify="left")
    for i, column in enumerate(columns):
        numeric = all(_numeric(row[i]) for row in rows)
        shown.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        shown.add_row(*(str(cell) for cell in row))
    console.print(shown)


def number(value: float | None, digits: int) -> str:
    """A number for a table, `-` where it is not known."""
    return "-" if value is None else f"{value:.{digits}f}"


def finite(value: float) -> float | None:
    """A number for a document: JSON has none for what is not known."""
    return value if isfinite(value) else None


def _numeric(cell: object) -> bool:
    return str(cell).strip("-").replace(",", "")[:1].isdigit() or cell in ("", "-")
