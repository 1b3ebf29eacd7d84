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
    out: Path | None,
) -> None:
    """Write TARGET as float32 ONNX and TFLite files, each verified on real test images first.

    A file that differs from what was trained is not written (exit code 4).

    TARGET is a run folder after `mnas train`, a checkpoint, or an architecture with initial weights.

    \b
    Example:
      mnas export runs/first --format onnx,tflite
    """
    from mnas.deploy import export, network_of
    from mnas.latency import load_table

    network = network_of(target, seed)
    if not network.dataset:
        click.echo(f"{target} was never trained: its files hold initial weights", err=True)
    files = export(
        network,
        formats=[word.strip() for word in formats.split(",") if word.strip()],  # type: ignore[misc]
        out=out or (Path(target) / "exports" if Path(target).is_dir() else Path("exports")),
        table=load_table(table_name) if table_name else None,
        data_folder=data_folder,
        dynamic_batch=dynamic_batch,
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
            "sha256",
        )
        table(f"verified on {files[0].verification.images} images", columns, rows)

    output.emit({"files": [file.to_dict() for file in files]}, people=people)
