"""`mnas train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mnas.cli.output import Output, verb


@click.command("train")
@click.argument("target")
@click.option("--data", help="Data set; a run folder knows its own.")
@click.option("--data-folder", help="Where the data set lies.")
@click.option("--images", type=int, help="Train on the first so many images only.")
@click.option("--epochs", default=20, show_default=True, help="Passes over the training images.")
@click.option("--batch", default=64, show_default=True, help="Images a step.")
@click.option("--lr", default=0.1, show_default=True, help="Highest learning rate; a cosine to zero.")
@click.option("--weight-decay", default=5e-4, show_default=True, help="Of kernels.")
@click.option("--label-smoothing", default=0.0, show_default=True, help="Share of the target spread over all classes.")
@click.option("--ema-decay", default=0.0, show_default=True, help="Keep a moving average of the weights; 0: the last.")
@click.option("--augment", default="none", show_default=True, help="none, flip, shift or flip-shift.")
@click.option("--drop-path", default=0.0, show_default=True, help="Chance of leaving a path of a join out, at the end.")
@click.option("--torch-device", default="cpu", show_default=True, help="cpu, cuda or mps.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Checkpoint; RUN/trained.npz for a run folder.")
@verb("mnas.train/1")
def command(
    output: Output,
    seed: int,
    target: str,
    data: str | None,
    data_folder: str | None,
    images: int | None,
    torch_device: str,
    out: Path | None,
    **recipe: Any,
) -> None:
    """Train TARGET: the best network of a run folder, an architecture file, or a published network.

    \b
    Example:
      mnas train runs/first --epochs 10
    """
    from mnas.deploy import train_target
    from mnas.evaluate import Recipe

    with output.progress(f"train {target}") as progress:
        network, path = train_target(
            target,
            data=data,
            data_folder=data_folder,
            recipe=Recipe(**recipe),
            images=images,
            seed=seed,
            torch_device=torch_device,
            out=out,
            progress=progress,
        )
    document = {
        "target": target,
        "checkpoint": str(path),
        "dataset": network.dataset,
        "validation_accuracy": network.validation_accuracy,
        "test_accuracy": network.test_accuracy,
        "parameters": network.architecture.cost.params,
        "macs": network.architecture.cost.macs,
    }

    def people() -> None:
        click.echo(
            f"{path}: test accuracy {network.test_accuracy:.4f} on {network.dataset} "
            f"(validation {network.validation_accuracy:.4f}), {document['parameters']:,} parameters\n"
            f"next: mnas export {path if Path(target).is_file() else target} --format onnx,tflite"
        )

    output.emit(document, people=people)
