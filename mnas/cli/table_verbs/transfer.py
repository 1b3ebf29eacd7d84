"""`mnas tables transfer`."""

from __future__ import annotations

import click

from mnas.cli.output import Output, number, table, verb


@click.command("transfer")
@click.option("--from", "names", required=True, help="Finished tables of one space, separated by commas.")
@click.option("--to", "device_name", required=True, help="Device to make a table for.")
@click.option("--runtime", help="litert or onnxruntime; that of the first table by default.")
@click.option("--dtype", type=click.Choice(["float32", "int8"]), help="That of the first table by default.")
@click.option("--num-threads", default=1, show_default=True, help="Threads of the runtime.")
@click.option("--budget", default=10, show_default=True, help="Networks to measure, at least 5.")
@click.option("--check", default=0, show_default=True, help="Further networks to check the table with, at least 5.")
@click.option("--max-memory", "max_memory_gb", default=2.0, show_default=True, help="GB that loaded models may take.")
@click.option("--space", "space_name", help="Search space of the tables; told by their rows by default.")
@click.option("--image-size", type=int, help="Input size in pixels, with --space.")
@click.option("--channels", type=int, help="Input channels, with --space.")
@click.option("--classes", type=int, help="Number of classes, with --space.")
@click.option("-o", "--out", required=True, help="Table to write, a path without suffix.")
@verb("mnas.tables.transfer/1")
def command(
    output: Output,
    seed: int,
    names: str,
    device_name: str,
    runtime: str | None,
    dtype: str | None,
    num_threads: int,
    budget: int,
    check: int,
    max_memory_gb: float,
    space_name: str | None,
    image_size: int | None,
    channels: int | None,
    classes: int | None,
    out: str,
) -> None:
    """Make a table for a device from tables of other devices and a few networks measured on it.

    Half of the networks fill the space, the others are those that tell most beside them. The table is unverified
    unless --check holds further networks out. Stopped by Ctrl-C, or killed, the same command goes on where it was.

    \b
    Example:
      mnas tables transfer --from my_table --to local --runtime onnxruntime --budget 10 --check 10 -o other_table
    """
    from mnas.latency import load_table, recognise, report, transfer_table
    from mnas.spaces import space

    if space_name is None and (image_size or channels or classes):
        raise click.UsageError("--image-size, --channels and --classes belong to a --space: give it, or none of them")
    tables = [load_table(name.strip()) for name in names.split(",") if name.strip()]
    if not tables:
        raise click.UsageError("--from names no table")
    if space_name:
        each = space(space_name, classes=classes, image_size=image_size, channels=channels)
    else:
        each = recognise(tables)
    with output.progress(f"transfer {out}") as progress:
        made = transfer_table(
            tables,
            each,
            out=out,
            device=device_name,
            runtime=runtime or tables[0].conditions.runtime,
            dtype=dtype or tables[0].conditions.dtype,
            num_threads=num_threads,
            budget=budget,
            check=check,
            max_memory_gb=max_memory_gb,
            seed=seed,
            progress=progress,
        )
    fitted = sum(network.role != "test" for network in made.networks)
    document = {
        **report(made),
        "space": {"name": each.name, "input": str(each.x), "classes": each.classes},
        "sources": [source.path for source in tables],
        "conditions": made.conditions.to_dict(),
        "interval_relative": made.calibration.interval_relative,
        "networks": [{"architecture": n.architecture, "ms": n.ms, "role": n.role} for n in made.networks],
    }

    def people() -> None:
        tested = made.check
        table(
            f"{made.path}: {len(made.rows)} rows of {each.name} from {len(tables)} tables, {made.verdict}",
            ("networks fitted", "interval +- %", "held out", "MAPE %", "Spearman", "remeasurement %", "seconds"),
            [
                (
                    fitted,
                    number(made.calibration.interval_relative * 100, 1),
                    tested.n,
                    number(tested.mape_percent if tested.n else None, 2),
                    number(tested.spearman if tested.n else None, 3),
                    number(made.remeasurement.mape_without_level_percent, 2),
                    number(made.effort.seconds, 1),
                )
            ],
            caption=made.summary(),
        )

    output.emit(document, people=people)
