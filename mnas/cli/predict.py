"""`mnas predict`."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

from mnas.cli.output import Output, table, verb
from mnas.errors import MissingLatencyError

if TYPE_CHECKING:
    from mnas.reading import ForeignModel


@click.command("predict")
@click.argument("target")
@click.option("--table", "table_name", required=True, help="Latency table: a name, or a path without suffix.")
@click.option(
    "--skip-unknown", is_flag=True, help="Price operators of a model file that mnas does not know as nothing."
)
@click.option(
    "--on-missing",
    type=click.Choice(["error", "estimate"]),
    default="error",
    show_default=True,
    help="What to do about rows the table lacks: stop, or estimate them from those it has.",
)
@click.option("--top", default=10, show_default=True, help="How many ops to print, the slowest first.")
@verb("mnas.predict/1")
def command(
    output: Output, seed: int, target: str, table_name: str, skip_unknown: bool, on_missing: str, top: int
) -> None:
    """Price TARGET with a latency table: total, 90 % interval, slowest ops.

    TARGET is a file with an architecture's text, a published network (mnasnet-a1), a run folder, a checkpoint, or any
    ONNX or TFLite file. A file that mnas did not write is priced by the primitive ops it is made of; coverage says how
    much of it is understood. Rows the table lacks are an error that names the command to measure them (exit code 5);
    estimates of them are marked, and widen the interval.

    \b
    Examples:
      mnas predict examples/network.txt --table my_table
      mnas predict model.onnx --table model_table
    """
    from mnas.deploy import architecture_of
    from mnas.latency import load_table, priced_as, report
    from mnas.latency.pricing import executed
    from mnas.reading import is_model, read_model

    prices = load_table(table_name)
    model = read_model(target) if is_model(target) else None
    network = priced_as(model, prices, skip_unknown=skip_unknown) if model else architecture_of(target)
    if on_missing == "estimate":
        prices = prices.completed(executed(network, prices.calibration.folds_constants))
    try:
        estimate = prices.predict(network)
    except MissingLatencyError as error:
        what = f"{'--space primitives --from' if network is model else '--arch'} {shlex.quote(target)}"
        raise MissingLatencyError(prices.name, error.missing, error.command.replace("--arch FILE", what)) from None
    rows, guessed = prices.explain(network), prices.estimated_share(network)
    foreign = model if network is model else None
    document = {
        "target": target,
        "table": prices.name,
        "verdict": prices.verdict,
        "total_ms": estimate.ms,
        "low_ms": estimate.low_ms,
        "high_ms": estimate.high_ms,
        "coverage": (foreign.coverage().macs if foreign else 1.0) * (1 - guessed),
        "coverage_nodes": foreign.coverage().nodes if foreign else 1.0,
        "estimated_share": guessed,
        "unknown": [each._asdict() for each in foreign.unknown] if foreign else [],
        "conditions": prices.conditions.to_dict(),
        "remeasurement_mape_percent": report(prices)["remeasurement_mape_percent"],
        "rows": [{"placement": str(p), "ms": ms, "estimated": p in prices.estimated} for p, ms in rows],
    }

    def people() -> None:
        named = [(f"{p}{' (estimated)' if p in prices.estimated else ''}", ms) for p, ms in rows[:top]]
        shown = [(name, f"{ms:.4f}", f"{100 * ms / estimate.ms:.1f}") for name, ms in named]
        rest = sum(ms for _, ms in rows[top:])
        others = [("the other ops", f"{rest:.4f}", f"{100 * rest / estimate.ms:.1f}")] if rest else []
        base = estimate.ms - sum(ms for _, ms in rows)
        shown += [*others, ("once per network", f"{base:.4f}", f"{100 * base / estimate.ms:.1f}")]
        table(
            f"{estimate.ms:.3f} ms  ({estimate.low_ms:.3f} to {estimate.high_ms:.3f}, 90 %)",
            ("op @ input", "ms", "%"),
            shown,
            caption="\n".join([*_covered(foreign), *_guessed(guessed), f"{prices.name}: {prices.summary()}"]),
        )

    output.emit(document, people=people)


def _covered(model: ForeignModel | None) -> list[str]:
    """What is known of a model file that is priced by its primitive ops, in lines."""
    if model is None:
        return []
    nodes, macs = model.coverage()
    lines = [f"{100 * nodes:.1f} % of the operators and {100 * macs:.1f} % of the MACs are understood and priced"]
    return lines + [f"not priced: {each.node} ({each.operator}): {each.reason}" for each in model.unknown]


def _guessed(share: float) -> list[str]:
    """How much of a prediction rests on rows that were not measured."""
    return [f"{100 * share:.1f} % of the ms of rows are estimated, not measured"] if share else []
