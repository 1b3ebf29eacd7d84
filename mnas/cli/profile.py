"""`mnas profile`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mnas.cli.device_options import device_with
from mnas.cli.output import Output, number, table, verb

if TYPE_CHECKING:
    from mnas.devices import Device
    from mnas.latency import LatencyTable, RowSource
    from mnas.progress import Progress


@click.command("profile")
@click.option("--space", "space_name", help="Search space whose ops are measured, such as mnasnet-small.")
@click.option("--from", "model", help="Model file (ONNX or TFLite) whose ops are measured, with --space primitives.")
@click.option("--arch", "targets", multiple=True, help="Also measure the ops of this network (file or published name).")
@click.option(
    "--device",
    "device_names",
    multiple=True,
    default=("local",),
    show_default=True,
    help="Where to measure; several at once if given several times.",
)
@click.option(
    "--runtime",
    help="litert, onnxruntime or benchmark_model; by default benchmark_model on devices with that binary, else litert.",
)
@click.option("--benchmark-binary", help="benchmark_model for the device, in place of binary of its file.")
@click.option("--delegate", help="Of benchmark_model: cpu, xnnpack (default) or gpu.")
@click.option("--dtype", default="float32", show_default=True, help="float32 or int8.")
@click.option(
    "--rows",
    type=click.Choice(["isolated", "in-network", "bundled"]),
    help="Measure ops alone (default), or by timing nodes (onnxruntime, benchmark_model): those of whole networks, or "
    "of hundreds of ops side by side in one model (default of benchmark_model).",
)
@click.option("--num-threads", default=1, show_default=True, help="Threads of the runtime.")
@click.option("--max-memory", "max_memory_gb", default=2.0, show_default=True, help="GB that loaded models may take.")
@click.option(
    "--max-minutes", default=5.0, show_default=True, help="Measure rows with a wide interval again until then."
)
@click.option(
    "--max-temp", "max_temp_c", type=float, help="Degrees Celsius above which a device cools down; else its file's."
)
@click.option("--remeasure", is_flag=True, help="Also measure the wide rows of a finished table again.")
@click.option("--image-size", type=int, help="Input size in pixels; the space's own by default.")
@click.option("--channels", type=int, help="Input channels; the space's own by default.")
@click.option("--classes", type=int, help="Number of classes; the space's own by default.")
@click.option(
    "-o",
    "--out",
    help="Table to write, a path without suffix; by default named after space, device and runtime. With several "
    "devices their names are added.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be measured, and stop.")
@verb("mnas.profile/1")
def command(
    output: Output,
    seed: int,
    space_name: str | None,
    model: str | None,
    targets: tuple[str, ...],
    device_names: tuple[str, ...],
    runtime: str | None,
    benchmark_binary: str | None,
    delegate: str | None,
    dtype: str,
    rows: RowSource | None,
    num_threads: int,
    max_memory_gb: float,
    max_minutes: float,
    max_temp_c: float | None,
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
      mnas profile --space mnasnet-small --device phone --benchmark-binary ./benchmark_model --max-temp 40
      mnas profile --space mnasnet-small --device phone --device pi -o tables/small
    """
    from mnas.deploy import architecture_of
    from mnas.latency import Outcome, beside, default_out, profile, report, rows_to_measure, side_by_side
    from mnas.reading import primitives_of
    from mnas.spaces import space

    if model and space_name != "primitives":
        raise click.UsageError("--from names the model of --space primitives")
    sizes = {"classes": classes, "image_size": image_size, "channels": channels}
    each = primitives_of(model) if model else space(space_name, **sizes) if space_name else None
    architectures = tuple(architecture_of(target) for target in targets)
    if each is None and not architectures:
        raise click.UsageError("nothing to measure: give --space, --arch or both")
    devices = [device_with(name, benchmark_binary, max_temp_c) for name in device_names]
    runtime = runtime or _runtime(devices)
    several = len(devices) > 1
    if out:
        outs = [beside(out, device) if several else Path(out) for device in devices]
    else:
        outs = [default_out(each, device, runtime, dtype, rows, delegate) for device in devices]
    if dry_run:
        n = [len(rows_to_measure(each, architectures, path, remeasure=remeasure)) for path in outs]
        plans = [{"table": str(path), "rows": rows} for path, rows in zip(outs, n, strict=True)]
        output.emit(_document(plans), people=lambda: click.echo("\n".join(f"{rows} rows to measure" for rows in n)))
        return

    def measure(device: Device, path: Path, progress: Progress) -> LatencyTable:
        return profile(
            each, device=device, runtime=runtime, delegate=delegate, out=path, dtype=dtype, rows=rows,
            num_threads=num_threads, max_memory_gb=max_memory_gb, max_minutes=max_minutes, remeasure=remeasure,
            architectures=architectures, seed=seed, progress=progress,
        )  # fmt: skip

    with output.progress(f"profile {', '.join(path.name for path in outs)}") as progress:
        if several:
            outcomes = side_by_side(devices, outs, measure, progress)
        else:
            outcomes = [Outcome(devices[0], outs[0], measure(devices[0], outs[0], progress), None)]
    tables = [outcome.table for outcome in outcomes if outcome.table is not None]
    reports = [report(measured) for measured in tables]
    told = [
        (report(outcome.table) if outcome.table else {"table": str(outcome.out), "error": str(outcome.error)})
        | {"device": outcome.device.name}
        for outcome in outcomes
    ]
    output.emit(_document(told), people=lambda: _show(reports, [measured.summary() for measured in tables]))
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    for outcome in failed:
        click.echo(f"mnas: device {outcome.device.name}: {outcome.error}", err=True)
    if failed:
        raise click.exceptions.Exit(max(outcome.error.exit_code for outcome in failed if outcome.error))


def _runtime(devices: Sequence[Device]) -> str:
    """The runtime if none is named: that of the binary where there is one."""
    names = {"benchmark_model" if device.binary else "litert" for device in devices}
    if len(names) > 1:
        raise click.UsageError(f"these devices run {' and '.join(sorted(names))}: choose one with --runtime")
    return names.pop()


def _document(each: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What scripts get: of one device its keys, of several a list."""
    return each[0] if len(each) == 1 else {"tables": each}


def _show(reports: Sequence[dict[str, Any]], summaries: Sequence[str]) -> None:
    for document, summary in zip(reports, summaries, strict=True):
        check = document["check"]
        table(
            f"{document['table']}: {document['rows']} rows, {document['failed']} failed, {document['verdict']}",
            (
                "networks held out", "MAPE %", "within 10 %", "Spearman", "remeasurement %", "with level %", "rounds",
                "wide rows", "drift %", "preempted %", "starts",
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
                    number(document["starts"], 0),
                )
            ],
            caption=summary,
        )  # fmt: skip
