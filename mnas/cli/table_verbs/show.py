"""`mnas tables show`."""

from __future__ import annotations

import click

from mnas.cli.output import Output, table, verb


@click.command("show")
@click.argument("name")
@click.option("--top", default=10, show_default=True, help="How many rows to print, the slowest first.")
@verb("mnas.tables.show/1")
def command(output: Output, seed: int, name: str, top: int) -> None:
    """Print the conditions, validation and slowest rows of the table NAME.

    \b
    Example:
      mnas tables show my_table
    """
    from mnas.latency import load_table, report

    prices = load_table(name)
    slowest = sorted(prices.rows.items(), key=lambda item: -item[1].median_ms)
    document = {
        **report(prices),
        "conditions": prices.conditions.to_dict(),
        "facts": dict(prices.facts),
        "slowest": [{"placement": str(placement), "median_ms": row.median_ms} for placement, row in slowest[:top]],
    }

    def people() -> None:
        rows = [
            (str(placement), f"{row.median_ms:.4f}", f"{row.ci_low_ms:.4f}", f"{row.ci_high_ms:.4f}", row.rounds)
            for placement, row in slowest[:top]
        ]
        columns = ("op @ input", "median ms", "low", "high", "rounds")
        table(f"{prices.name}: {len(prices.rows)} rows", columns, rows, caption=prices.summary())

    output.emit(document, people=people)
