"""`mnas bench`."""

from __future__ import annotations

from pathlib import Path

import click

from mnas.cli.device_options import device_with
from mnas.cli.output import Output, number, table, verb


@click.command("bench")
@click.argument("models", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--device", "device_name", default="local", show_default=True, help="Where to measure.")
@click.option("--runtime", help="litert, onnxruntime or benchmark_model; else the table's, or what the device has.")
@click.option("--benchmark-binary", help="benchmark_model for the device, in place of binary of its file.")
@click.option("--delegate", help="Of benchmark_model: cpu, xnnpack (default) or gpu; by default the table's.")
@click.option("--max-temp", "max_temp_c", type=float, help="Degrees Celsius above which the device cools down.")
@click.option("--against", help="Latency table: measure its anchors too, and compare with its prediction.")
@verb("mnas.bench/1")
def command(
    output: Output,
    seed: int,
    models: tuple[Path, ...],
    device_name: str,
    runtime: str | None,
    benchmark_binary: str | None,
    delegate: str | None,
    max_temp_c: float | None,
    against: str | None,
) -> None:
    """Measure model files on a device, interleaved with the anchors of a table.

    Absolute times drift between runs; anchored ones are divided by how much the table's anchors drifted.

    \b
    Example:
      mnas bench runs/first/exports/network.tflite --against my_table
    """
    from mnas.latency import bench, load_table

    device = device_with(device_name, benchmark_binary, max_temp_c)
    prices = load_table(against) if against else None
    with output.progress("bench") as progress:
        results = bench(
            models, device=device, runtime=runtime, delegate=delegate, against=prices, seed=seed, progress=progress
        )

    def people() -> None:
        rows = [
            (
                result.file,
                f"{result.median_ms:.4f}",
                f"{result.p10_ms:.4f}",
                f"{result.p90_ms:.4f}",
                result.n,
                number(result.anchored_ms, 4),
                number(result.predicted_ms, 4),
            )
            for result in results
        ]
        notes = "\n".join(dict.fromkeys(result.note for result in results if result.note))
        table("measured", ("file", "median ms", "p10", "p90", "n", "anchored ms", "predicted ms"), rows, caption=notes)

    output.emit({"results": [result.to_dict() for result in results]}, people=people)
