"""`mnas tables list`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mnas.cli.output import Output, finite, number, table, verb
from mnas.errors import FormatError


@click.command("list")
@verb("mnas.tables.list/1")
def command(output: Output, seed: int) -> None:
    """List the tables that are found by name: those in ./latency_tables, and those that came with mnas.

    \b
    Example:
      mnas tables list
    """
    from mnas.latency import own_tables, shipped_tables

    places = {"own": own_tables(), "shipped": shipped_tables()}
    documents = [_document(path, place) for place, paths in places.items() for path in paths]

    def people() -> None:
        rows = [
            (
                each["table"],
                each["place"],
                *(each.get(key, "-") for key in ("rows", "input", "device", "runtime", "dtype")),
                each["verdict"],
                number(each.get("remeasurement_mape_percent"), 2),
                number(each.get("mape_percent"), 2),
            )
            for each in documents
        ]
        columns = ("table", "", "rows", "input", "device", "runtime", "dtype", "verdict", "remeasurement %", "MAPE %")
        errors = "\n".join(each["error"] for each in documents if "error" in each)
        table(f"{len(rows)} latency tables", columns, rows, caption=errors)

    output.emit({"tables": documents}, people=people)


def _document(path: Path, place: str) -> dict[str, Any]:
    """What a table says of itself in a line; a damaged one says why it is."""
    from mnas.latency import load_table

    named = {"table": path.name, "path": str(path), "place": place}
    try:
        prices = load_table(path)
    except FormatError as error:
        return named | {"verdict": "damaged", "error": str(error)}
    conditions = prices.conditions
    largest = max(
        (x for placement in prices.rows for x in placement.inputs), key=lambda x: (x.h * x.w, -x.c), default=""
    )
    return named | {
        "rows": len(prices.rows),
        "input": str(largest),
        "device": conditions.device,
        "runtime": conditions.runtime,
        "dtype": conditions.dtype,
        "num_threads": conditions.num_threads,
        "verdict": prices.verdict,
        "remeasurement_mape_percent": finite(prices.remeasurement.mape_without_level_percent),
        "mape_percent": finite(prices.check.mape_percent),
        "date": prices.date,
    }
