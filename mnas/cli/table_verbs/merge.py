"""`mnas tables merge`."""

from __future__ import annotations

import click

from mnas.cli.output import Output, finite, number, table, verb


@click.command("merge")
@click.argument("first")
@click.argument("second")
@click.option("-o", "--out", required=True, help="Table to write, a path without suffix.")
@verb("mnas.tables.merge/1")
def command(output: Output, seed: int, first: str, second: str, out: str) -> None:
    """Add to FIRST the rows, networks and raw samples of SECOND that it lacks, at FIRST's speed.

    Both must be valid, hold under the same conditions, and have measured at least three of FIRST's anchors: those tell
    how much slower SECOND was measured. Where both have a row, FIRST's stays.

    \b
    Example:
      mnas tables merge my_table other_table -o both
    """
    from mnas.latency import check_free, load_table, merge, report, save_table

    prefix = check_free(out)
    merged = merge(load_table(first), load_table(second))
    made = save_table(merged.table, prefix)
    overlap = merged.comparison.leveled
    document = {
        **report(made),
        "added": merged.added,
        "level": merged.level._asdict(),
        "overlap": {name: finite(value) for name, value in overlap._asdict().items()},
    }

    def people() -> None:
        table(
            f"{made.path}: {len(made.rows)} rows, {merged.added} of them from {second}, {made.verdict}",
            ("second / first by anchors", "anchors", "their spread %", "rows in both", "these differ by %"),
            [
                (
                    f"{merged.level.ratio:.3f}",
                    merged.level.n,
                    number(100 * merged.level.spread, 2),
                    overlap.n,
                    number(finite(overlap.mape_percent), 2),
                )
            ],
            caption=made.summary(),
        )

    output.emit(document, people=people)
