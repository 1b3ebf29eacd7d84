"""`mnas tables import`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal

import click

from mnas.cli.output import Output, table, verb


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--format", "dialect", type=click.Choice(["ofa", "proxylessnas"]), help="Told by the keys by default.")
@click.option("--device", "device_name", required=True, help="What was measured, as the source says.")
@click.option("--runtime", default="unknown", show_default=True, help="What ran there.")
@click.option("--runtime-version", default="unknown", show_default=True, help="Its version.")
@click.option("--dtype", type=click.Choice(["float32", "int8"]), default="float32", show_default=True)
@click.option("--num-threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads of the runtime.")
@click.option("-o", "--out", required=True, help="Table to write, a path without suffix.")
@verb("mnas.tables.import/1")
def command(
    output: Output,
    seed: int,
    file: Path,
    dialect: Literal["ofa", "proxylessnas"] | None,
    device_name: str,
    runtime: str,
    runtime_version: str,
    dtype: str,
    num_threads: int,
    out: str,
) -> None:
    """Make a table of FILE, a published latency table of Once-for-all or ProxylessNAS (YAML).

    It can price and search, but it is unverified: no whole network was measured with it.

    \b
    Example:
      mnas tables import note10.yaml --device note10 -o note10
    """
    from mnas.latency import check_free, import_table, save_table

    prefix = check_free(out)
    imported = import_table(
        file,
        device=device_name,
        dialect=dialect,
        runtime=runtime,
        runtime_version=runtime_version,
        dtype=dtype,
        num_threads=num_threads,
    )
    made = save_table(imported.table, prefix)
    document = {
        "table": made.path,
        "format": imported.dialect,
        "keys": imported.keys,
        "rows": len(made.rows),
        "unsaid": dict(imported.unsaid),
        "verdict": made.verdict,
        "remedy": made.remedy,
        "conditions": made.conditions.to_dict(),
        "interval_relative": made.calibration.interval_relative,
    }

    def people() -> None:
        reasons = Counter(imported.unsaid.values()).most_common()
        table(
            f"{made.path}: {len(made.rows)} rows of {imported.keys} in {file.name} ({imported.dialect})",
            ("published rows left out", "why"),
            [(n, reason) for reason, n in reasons] or [(0, "")],
            caption=made.summary(),
        )

    output.emit(document, people=people)
