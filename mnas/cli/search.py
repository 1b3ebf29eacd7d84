"""`mnas search`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mnas.cli.output import Output, table, verb


@click.command("search")
@click.option("-c", "--config", "config_file", type=click.Path(path_type=Path), help="TOML file; flags override it.")
@click.option("--space", help="Search space.")
@click.option("--data", help="Data set: fashion-mnist, digits, a .npz file or a folder.")
@click.option("--table", "table_name", help="Latency table.")
@click.option(
    "--on-missing", type=click.Choice(["error", "estimate"]), help="What to do about rows that the table lacks."
)
@click.option("--target-ms", type=float, help="Latency budget in milliseconds.")
@click.option("--searcher", help="surrogate, reinforce, ppo, evolution, local, random, optuna, darts or tunas.")
@click.option("--evaluator", help="proxy, supernet (shared weights), naswot (a training-free score) or table.")
@click.option("--reward", help="asymmetric (default), absolute (default of supernet and tunas), soft or hard.")
@click.option("--trials", type=int, help="How many networks to evaluate.")
@click.option("--finalists", type=int, help="Train so many of the best at last; where the others were but scored.")
@click.option("--workers", type=int, help="Worker processes (or threads, for shared weights); 0: none but this one.")
@click.option("--torch-device", help="cpu, cuda or mps.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any other key of the configuration.")
@click.option("--run", "folder", type=click.Path(path_type=Path), help="Run folder; the same command goes on in it.")
@click.option("--resume", type=click.Path(path_type=Path), help="Go on with a run folder under its own configuration.")
@click.option("--dry-run", is_flag=True, help="Check the configuration and stop.")
@verb("mnas.search/1")
def command(
    output: Output,
    seed: int,
    config_file: Path | None,
    settings: tuple[str, ...],
    folder: Path | None,
    resume: Path | None,
    dry_run: bool,
    **flags: Any,
) -> None:
    """Search for the most accurate network whose latency stays within the budget.

    Latency comes from the table, accuracy from short training, or from weights that all networks share
    (--evaluator supernet; they are trained first); what is too slow is never trained. Stopped or killed,
    the same command goes on and ends with the same trials.

    \b
    Examples:
      mnas search --space mnasnet-small --data fashion-mnist --table my_table --target-ms 0.3 --run runs/first
      mnas search ... --searcher random --evaluator naswot --trials 2000 --finalists 16 --run runs/scored
    """
    from mnas.latency import load_table
    from mnas.searchers import load_config, search_run

    given = {("table" if key == "table_name" else key): value for key, value in flags.items() if value is not None}
    ctx = click.get_current_context()
    if ctx.get_parameter_source("seed") is not click.core.ParameterSource.DEFAULT:
        given["seed"] = seed
    where = resume or folder
    if where is None or (folder and resume):
        raise click.UsageError("give the run folder: --run DIR, or --resume DIR to go on with its own configuration")
    config = load_config(where / "config.toml" if resume else config_file, settings, given)
    if dry_run:
        output.emit({"run": str(where), "config": config.model_dump()}, people=lambda: click.echo(config.to_toml()))
        return
    with output.progress(f"search {where.name}") as progress:
        run = search_run(config, where, progress=progress)
    best, front = run.best(), run.front()
    prices = load_table(config.table)
    document = {
        "run": str(where),
        "table": prices.name,
        "verdict": prices.verdict,
        "trials": run.counts(),
        "value": run.value_name,
        "best": best.to_dict(),
        "front": [trial.to_dict() for trial in front],
    }

    def people() -> None:
        rows = [
            (t.index, f"{t.value:.4f}", f"{t.latency.ms:.3f}", f"{t.reward:.4f}", "best" if t == best else "")
            for t in front
        ]
        table(
            f"Pareto front of {where}",
            ("trial", run.value_name, "ms", "reward", ""),
            rows,
            caption=f"{run.summary()}\nlatency: {prices.name}, {prices.summary()}\nnext: mnas train {where}",
        )

    output.emit(document, people=people)
