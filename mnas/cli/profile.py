"""`mnas profile`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mnas.cli.output import Output, number, table, verb

if TYPE_CHECKING:
    from mnas.latency import RowSource


@click.command("profile")
@click.option("--space", "space_name", help="Search space whose ops are measured, such as mnasnet-small.")
@click.option("--from", "model", help="Model file (ONNX or TFLite) whose ops are measured, with --space primitives.")
@click.option("--arch", "targets", multiple=True, help="Also measure the ops of this network (file or published name).")
@click.option("--device", "device_name", default="local", show_default=True, help="Where to measure.")
@click.option("--runtime", default="litert", show_default=True, help="litert or onnxruntime.")
@click.option("--dtype", default="float32", show_default=True, help="float32 or int8.")
@click.option(
    "--rows",
    type=click.Choice(["isolated", "in-network"]),
    default="isolated",
    show_default=True,
    help="Measure ops alone, or by timing the nodes of whole networks (onnxruntime).",
)
@click.option("--num-threads", default=1, show_default=True, help="Threads of the runtime.")
@click.option("--max-memory", "max_memory_gb", default=2.0, show_default=True, help="GB that loaded models may take.")
@click.option(
    "--max-minutes", default=5.0, show_default=True, help="Measure rows with a wide interval again until then."
)
@click.option("--remeasure", is_flag=True, help="Also measure the wide rows of a finished table again.")
@click.option("--image-size", type=int, help="Input size in pixels; the space's own by default.")
@click.option("--channels", type=int, help="Input channels; the space's own by default.")
@click.option("--classes", type=int, help="Number of classes; the space's own by default.")
@click.option(
    "-o", "--out", help="Table to write, a path without suffix; by default named after space, device and runtime."
)
@click.option("--dry-run", is_flag=True, help="Say what would be measured, and stop.")
@verb("mnas.profile/1")
def command(
    output: Output,
    seed: int,
    space_name: str | None,
    model: str | None,
    targets: tuple[str, ...],
    device_name: str,
    runtime: str,
    dtype: str,
    rows: RowSource,
    num_threads: int,
    max_memory_gb: float,
    max_minutes: float,
    remeasure: bool,
    image_size: int | None,
    channels: int | None,
    classes: int | None,
    out: str | None,
    dry_run: bool,
) -> None:
    """Measure every op of a search space on a device and calibrate the sum on whole networks.

    Stopped by Ctrl-C, or killed, the same command goes on where it was. On a finished table it measures what is
    missing, such as the ops of another network given by --arch.

    \b
    Examples:
      mnas profile --space mnasnet-small --runtime litert -o my_table
      mnas profile --space mnasnet-small --runtime onnxruntime --rows in-network
      mnas profile --space primitives --from model.onnx --runtime onnxruntime
    """
    from mnas.deploy import architecture_of
    from mnas.latency import default_out, profile, report, rows_to_measure
    from mnas.reading import primitives_of
    from mnas.spaces import space

    if model and space_name != "primitives":
        raise click.UsageError("--from names the model of --space primitives")
    sizes = {"classes": classes, "image_size": image_size, "channels": channels}
    each = primitives_of(model) if model else space(space_name, **sizes) if space_name else None
    architectures = tuple(architecture_of(target) for target in targets)
    if each is None and not architectures:
        raise click.UsageError("nothing to measure: give --space, --arch or both")
    out = out or str(default_out(each, device_name, runtime, dtype, rows))
    if dry_run:
        n = len(rows_to_measure(each, architectures, out, remeasure=remeasure))
        output.emit({"table": out, "rows": n}, people=lambda: click.echo(f"{n} rows to measure"))
        return
    with output.progress(f"profile {Path(out).name}") as progress:
        measured = profile(
            each,
            device=device_name,
            runtime=runtime,
            out=out,
            dtype=dtype,
            rows=rows,
            num_threads=num_threads,
            max_memory_gb=max_memory_gb,
            max_minutes=max_minutes,
            remeasure=remeasure,
            architectures=architectures,
            seed=seed,
            progress=progress,
        )
    document = report(measured)

    def people() -> None:
        check = document["check"]
        table(
            f"{out}: {document['rows']} rows, {document['failed']} failed, {document['verdict']}",
            (
                "networks held out",
                "MAPE %",
                "within 10 %",
                "Spearman",
                "remeasurement %",
                "with level %",
                "rounds",
                "wide rows",
                "drift %",
                "preempted %",
            ),
            [
                (
                    check["n"],
                    number(check["mape_percent"], 2),
                    number(check["within_10_percent"], 0),
                    number(check["spearman"], 3),
                    number(document["remeasurement_mape_percent"], 2),
                    number(document["remeasurement_with_level_mape_percent"], 2),
                    document["rounds"],
                    document["wide_rows"],
                    number(document["drift_percent"], 1),
                    number(100 * document["preempted_share"], 1),
                )
            ],
            caption=measured.summary(),
        )

    output.emit(document, people=people)
