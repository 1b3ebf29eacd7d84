"""`mnas demo`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from mnas.cli.output import Output, number, table, verb
from mnas.errors import CheckError
from mnas.progress import Progress


@click.command("demo")
@click.option("--data", default="fashion-mnist", show_default=True, help="fashion-mnist, digits, a .npz or a folder.")
@click.option("--quick", is_flag=True, help="A few trials only; digits unless --data is given.")
@click.option("--runtime", default="litert", show_default=True, help="litert or onnxruntime.")
@click.option("--torch-device", default="cpu", show_default=True, help="cpu, cuda or mps.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder; runs/demo-DATA, or runs/quick-DATA.")
@verb("mnas.demo/1")
def command(
    output: Output, seed: int, data: str, quick: bool, runtime: str, torch_device: str, out: Path | None
) -> None:
    """Do the whole job on this host: profile, search within a latency target, train, export, bench.

    Prints the found network beside published ones that are trained and measured alike.

    \b
    Example:
      mnas demo --quick --data digits --out runs/quick
    """
    from mnas.demo import demo

    given = click.get_current_context().get_parameter_source("data")
    if quick and given is click.core.ParameterSource.DEFAULT:
        data = "digits"
    out = out or Path("runs", f"{'quick' if quick else 'demo'}-{Path(data).stem}")
    with ExitStack() as stack:
        bars: dict[str, Progress] = {}

        def stage(name: str, done: int, total: int, note: str) -> None:
            if name not in bars:
                stack.close()
                bars[name] = stack.enter_context(output.progress(name))
            bars[name](done, total, note)

        document = demo(out, data=data, quick=quick, runtime=runtime, seed=seed, torch_device=torch_device, stage=stage)
    output.emit(document, people=lambda: _people(document))
    found = document["found"]
    if not found["within_target"]:
        raise CheckError(f"measured again, {found['measured_ms']:.3f} ms is over the target; run the demo afresh")


def _people(document: dict[str, Any]) -> None:
    rows = [
        (
            row["name"],
            f"{100 * row['test_accuracy']:.2f}",
            f"{row['predicted_ms']:.3f}",
            f"{row['measured_ms']:.3f}",
            "yes" if row["within_target"] else "no",
            f"{row['parameters']:,}",
            f"{row['macs'] / 1e6:.1f}",
            ", ".join(row["files"]),
        )
        for row in (document["found"], *document["references"])
    ]
    seconds = document["seconds"]
    table(
        f"{document['dataset']} on {document['device']}, {document['runtime']}, target {document['target_ms']} ms",
        ("network", "test acc %", "predicted ms", "measured ms", "in target", "parameters", "M MACs", "files"),
        rows,
        caption=f"measured: at the speed of the table, by its anchors; measuring again differs by "
        f"{number(document['remeasurement_mape_percent'], 1)} %\n"
        + "  ".join(f"{name} {value:.0f} s" for name, value in seconds.items()),
    )
