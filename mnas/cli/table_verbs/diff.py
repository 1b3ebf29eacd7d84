"""`mnas tables diff`."""

from __future__ import annotations

from typing import Any

import click

from mnas.cli.output import Output, finite, number, table, verb


@click.command("diff")
@click.argument("first")
@click.argument("second")
@click.option("--top", default=10, show_default=True, help="How many rows to print, those that disagree most first.")
@verb("mnas.tables.diff/1")
def command(output: Output, seed: int, first: str, second: str, top: int) -> None:
    """Compare two tables: conditions, rows that only one has, and the ratios SECOND / FIRST of the others.

    How much slower SECOND is as a whole is told by the anchors that both measured, else by the common rows, and divided
    out. Tables of different devices can be compared too: then the rank correlation says how alike they are.

    \b
    Example:
      mnas tables diff my_table other_table
    """
    from mnas.latency import compare, load_table, report

    tables = load_table(first), load_table(second)
    found = compare(*tables)
    documents = [
        {
            "table": each.name,
            "conditions": each.conditions.to_dict(),
            "verdict": each.verdict,
            "rows": len(each.rows),
            **{key: report(each)[key] for key in ("remeasurement_mape_percent", "rows_remeasurement_mape_percent")},
        }
        for each in tables
    ]
    document = {
        "tables": documents,
        "same_device": found.same_device,
        "differences": list(found.differences),
        "level": found.level,
        "level_by": found.level_by,
        "note": found.note,
        "raw": _known(found.raw._asdict()),
        "leveled": _known(found.leveled._asdict()),
        "spearman": finite(found.spearman),
        "only_first": [str(placement) for placement in found.only_first],
        "only_second": [str(placement) for placement in found.only_second],
        "worst": [each._asdict() | {"placement": str(each.placement)} for each in found.common[:top]],
    }
    output.emit(document, people=lambda: _people(document))


def _known(ratios: dict[str, Any]) -> dict[str, Any]:
    return {name: finite(value) for name, value in ratios.items()}


def _people(document: dict[str, Any]) -> None:
    first, second = document["tables"]
    keys = [*first["conditions"], "rows", "verdict", "remeasurement_mape_percent", "rows_remeasurement_mape_percent"]
    sides = [(key, *(_cell({**each["conditions"], **each}[key]) for each in (first, second))) for key in keys]
    marked = [(*side, "" if side[1] == side[2] else "unlike") for side in sides]
    alone = f"rows only in {first['table']}: {len(document['only_first'])}, only in {second['table']}: "
    table(
        "two tables" if document["same_device"] else "two tables of different devices",
        ("", first["table"], second["table"], ""),
        marked,
        caption=alone + str(len(document["only_second"])),
    )
    shown = [
        (
            name,
            ratios["n"],
            *(number(ratios[key], 3) for key in ("low", "median", "high")),
            number(ratios["mape_percent"], 2),
        )
        for name, ratios in (("raw", document["raw"]), ("level divided out", document["leveled"]))
    ]
    by = f" ({document['note']})" if document["note"] else ""
    table(
        f"{second['table']} / {first['table']}, common rows",
        ("", "rows", "5 %", "median", "95 %", "MAPE %"),
        shown,
        caption=f"level {document['level']:.3f} by {document['level_by']}{by}; "
        f"rank correlation {number(document['spearman'], 3)}",
    )
    worst = [
        (row["placement"], f"{row['first_ms']:.4f}", f"{row['second_ms']:.4f}", f"{row['ratio']:.3f}")
        for row in document["worst"]
    ]
    if worst:
        table("rows that disagree most", ("op @ input", "first ms", "second ms", "ratio, level divided out"), worst)


def _cell(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else "-" if value is None else str(value)
