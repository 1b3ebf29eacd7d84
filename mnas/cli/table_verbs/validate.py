"""`mnas tables validate`."""

from __future__ import annotations

from typing import Any

import click

from mnas.cli.output import Output, table, verb
from mnas.errors import CheckError, MnasError

_SHOWN = 5


@click.command("validate")
@click.argument("names", nargs=-1, required=True, metavar="TABLE...")
@click.option("--space", "space_names", multiple=True, help="It must have the rows of this space, and no others.")
@click.option("--arch", "targets", multiple=True, help="And those of this network (file or published name).")
@click.option("--image-size", type=int, help="Input size of the spaces in pixels; their own by default.")
@click.option("--channels", type=int, help="Input channels of the spaces; their own by default.")
@click.option("--classes", type=int, help="Number of classes of the spaces; their own by default.")
@verb("mnas.tables.validate/1")
def command(
    output: Output,
    seed: int,
    names: tuple[str, ...],
    space_names: tuple[str, ...],
    targets: tuple[str, ...],
    image_size: int | None,
    channels: int | None,
    classes: int | None,
) -> None:
    """Check tables: files, rows, conditions, raw samples, networks, units, verdict, and whether they cover a space.

    A check that fails ends with exit code 4, a damaged table with 1.

    \b
    Example:
      mnas tables validate my_table --space mnasnet-small
    """
    from mnas.deploy import architecture_of
    from mnas.latency import examine, load_table
    from mnas.spaces import space

    spaces = [space(name, classes=classes, image_size=image_size, channels=channels) for name in space_names]
    architectures = {target: architecture_of(target) for target in targets}
    documents: list[dict[str, Any]] = []
    damages: list[MnasError] = []
    for name in names:
        try:
            found = [finding._asdict() for finding in examine(load_table(name), spaces, architectures)]
        except MnasError as error:
            damages.append(error)
            found = [{"check": "files", "passed": False, "detail": str(error), "rows": ()}]
        documents.append({"table": name, "passed": all(each["passed"] for each in found), "checks": found})

    def people() -> None:
        for document in documents:
            rows = [
                (each["check"], "ok" if each["passed"] else "FAILED", each["detail"] + _named(each["rows"]))
                for each in document["checks"]
            ]
            table(f"{document['table']}", ("check", "", "found"), rows)

    output.emit({"passed": all(each["passed"] for each in documents), "tables": documents}, people=people)
    if damages:
        raise damages[0]
    failed = [f"{d['table']}: {each['check']}" for d in documents for each in d["checks"] if not each["passed"]]
    if failed:
        raise CheckError(f"{len(failed)} checks failed: {'; '.join(failed)}")


def _named(rows: tuple[str, ...]) -> str:
    more = f"\n... and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    return "".join(f"\n{row}" for row in rows[:_SHOWN]) + more
