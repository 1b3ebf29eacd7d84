"""`mnas predict`."""

from __future__ import annotations

import shlex

import click

from mnas.cli.output import Output, table, verb
from mnas.errors import MissingLatencyError


@click.command("predict")
@click.argument("target")
@click.option("--table", "table_name", required=True, help="Latency table: a name, or a path without suffix.")
@click.option("--top", default=10, show_default=True, help="How many ops to print, the slowest first.")
@verb("mnas.predict/1")
def command(output: Output, seed: int, target: str, table_name: str, top: int) -> None:
    """Price TARGET with a latency table: total, 90 % interval, slowest ops.

    TARGET is a file with an architecture's text, a published network (mnasnet-a1), a run folder or a checkpoint.
    Rows the table lacks are an error that names the command to measure them (exit code 5).

    \b
    Example:
      mnas predict examples/network.txt --table my_table
    """
    from mnas.deploy import architecture_of
    from mnas.latency import load_table, report

    prices = load_table(table_name)
    architecture = architecture_of(target)
    try:
        estimate = prices.predict(architecture)
    except MissingLatencyError as error:
        command = error.command.replace("--arch FILE", f"--arch {shlex.quote(target)}")
        raise MissingLatencyError(prices.name, error.missing, command) from None
    rows = prices.explain(architecture)
    document = {
        "target": target,
        "table": prices.name,
        "total_ms": estimate.ms,
        "low_ms": estimate.low_ms,
        "high_ms": estimate.high_ms,
        "coverage": 1.0,
        "conditions": prices.conditions.to_dict(),
        "remeasurement_mape_percent": report(prices)["remeasurement_mape_percent"],
        "rows": [{"placement": str(placement), "ms": ms} for placement, ms in rows],
    }

    def people() -> None:
        shown = [(str(placement), f"{ms:.4f}", f"{100 * ms / estimate.ms:.1f}") for placement, ms in rows[:top]]
        rest = sum(ms for _, ms in rows[top:])
        others = [("the other ops", f"{rest:.4f}", f"{100 * rest / estimate.ms:.1f}")] if rest else []
        base = estimate.ms - sum(ms for _, ms in rows)
        shown += [*others, ("once per network", f"{base:.4f}", f"{100 * base / estimate.ms:.1f}")]
        table(
            f"{estimate.ms:.3f} ms  ({estimate.low_ms:.3f} to {estimate.high_ms:.3f}, 90 %)",
            ("op @ input", "ms", "%"),
            shown,
            caption=f"{prices.name}: {prices.summary()}",
        )

    output.emit(document, people=people)
