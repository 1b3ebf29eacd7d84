"""`mnas data`."""

from __future__ import annotations

from pathlib import Path

import click

from mnas.cli.output import Output, verb


@click.group("data")
def command() -> None:
    """Fetch data sets.

    \b
    Example:
      mnas data fetch fashion-mnist
    """


@command.command("fetch")
@click.argument("name")
@click.option("--url", help="Another place that serves the same files.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where to put them; mnas's cache by default.")
@verb("mnas.data/1")
def fetch_command(output: Output, seed: int, name: str, url: str | None, folder: Path | None) -> None:
    """Download the data set NAME, verify its SHA-256, and keep it where mnas looks.

    \b
    Example:
      mnas data fetch fashion-mnist
    """
    from mnas.evaluate import fetch

    with output.progress(f"fetch {name}") as progress:
        path = fetch(name, url=url, folder=folder, progress=progress)
    output.emit({"name": name, "folder": str(path)}, people=lambda: click.echo(f"{name} is in {path}"))
