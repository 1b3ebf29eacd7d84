"""`mnas export`."""

from __future__ import annotations

from pathlib import Path

import click

from mnas.cli.output import Output, number, table, verb


@click.command("export")
@click.argument("target")
@click.option("--format", "formats", default="onnx,tflite", show_default=True, help="Comma-separated.")
@click.option("--table", "table_name", help="Embed the latency this table predicts.")
@click.option("--data-folder", help="Where the data set lies.")
@click.option("--dynamic-batch", is_flag=True, help="Let the ONNX file take any batch size.")
@click.option("--int8", is_flag=True, help="Write int8 files too, calibrated on training images.")
@click.option("--calibration", default=256, show_default=True, help="Training images that int8 is calibrated on.")
@click.option(
    "--max-accuracy-drop", default=0.02, show_default=True, help="What an int8 file may lose on the test set, 0..1."
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder; RUN/exports for a run folder, else exports.")
@verb("mnas.export/1")
def command(
    output: Output,
    seed: int,
    target: str,
    formats: str,
    table_name: str | None,
    data_folder: str | None,
    dynamic_batch: bool,
    int8: bool,
    calibration: int,
    max_accuracy_drop: float,
    out: Path | None,
) -> None:
    """Write TARGET as ONNX and TFLite files, each verified on real test images first.

    Nothing is written if a float32 file differs from what was trained, or an int8 file loses more accuracy on the
    whole test set than it may (exit code 4).

    TARGET is a run folder after `mnas train`, a checkpoint, or an architecture with initial weights.

    \b
    Example:
      mnas export runs/first --format onnx,tflite --int8
    """
    from mnas.deploy import export, network_of
    from mnas.latency import load_table

    network = network_of(target, seed)
    if not network.dataset:
        click.echo(f"{target} was never trained: its files hold initial weights", err=True)
        if int8:
            click.echo("int8 is calibrated on noise: good for timing, its accuracy means nothing", err=True)
    files = export(
        network,
        formats=[word.strip() for word in formats.split(",") if word.strip()],  # type: ignore[misc]
        out=out or (Path(target) / "exports" if Path(target).is_dir() else Path("exports")),
        table=load_table(table_name) if table_name else None,
        data_folder=data_folder,
        dynamic_batch=dynamic_batch,
        int8=int8,
        calibration=calibration,
        max_accuracy_drop=max_accuracy_drop,
    )

    def people() -> None:
        rows = [
            (
                file.path,
                file.size_bytes,
                sum(file.verification.operators.values()),
                file.verification.pad,
                file.verification.transpose,
                f"{file.verification.max_abs_diff:.1e}",
                f"{file.verification.top1_agreement:.4f}",
                number(file.verification.accuracy, 4),
                number(file.verification.accuracy_drop, 4),
                file.verification.images,
                file.sha256[:12],
            )
            for file in files
        ]
        columns = (
            "file",
            "bytes",
            "operators",
            "PAD",
            "TRANSPOSE",
            "max diff",
            "top-1 agreement",
            "accuracy",
            "accuracy drop",
            "images",
            "sha256",
        )
        table(f"verified on {'test images' if network.dataset else 'noise'}", columns, rows)

    output.emit({"files": [file.to_dict() for file in files]}, people=people)
