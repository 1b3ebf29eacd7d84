"""Latency tables as files: text only, complete or absent, and refused when anything was touched.

`NAME.csv` holds the rows, `NAME.samples.csv.gz` the raw samples, `NAME.toml` everything else and the SHA-256 of all
three. The TOML is written last, so a table exists only when it is complete.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import tomli_w

from mnas.errors import ConfigError, FormatError, MnasError
from mnas.files import write_bytes, write_text
from mnas.ir import Placement
from mnas.latency.calibration import Calibration
from mnas.latency.filter import Remeasurement
from mnas.latency.table import Effort, LatencyTable, MeasuredNetwork, Row
from mnas.latency.validation import Check
from mnas.runtimes import Conditions
from mnas.shipped import folder

SCHEMA = 2
SUFFIXES = (".samples.csv.gz", ".csv", ".toml")
"""In the order of writing."""
OWN = Path("latency_tables")
"""Where tables are made and found under the current folder unless a path is given."""
_HEADER = ("placement", *Row._fields)
_SHOWN = 5
"""Impossible rows that a message names."""
PLAN = "plan.json"
"""What a measurement that can go on has in `NAME.partial`."""


def table_prefix(path: str | Path) -> Path:
    """The path of a table without the suffix of one of its files.

    Raises:
        ConfigError: the path names no file.
    """
    text = str(path)
    for suffix in SUFFIXES:
        text = text.removesuffix(suffix)
    if Path(text).name in ("", "..") or "\0" in text:
        raise ConfigError(f"{str(path)!r} is not the name of a latency table: give a path without suffix")
    return Path(text)


def table_file(prefix: Path, suffix: str) -> Path:
    """The file of the table at `prefix` (whose name may hold dots) with one of `SUFFIXES`."""
    return prefix.with_name(prefix.name + suffix)


def save_table(table: LatencyTable, path: str | Path) -> LatencyTable:
    """Write a table as `path` with each of the three suffixes; the name follows the path.

    Returns:
        The table with the name and path it now has.

    Raises:
        ConfigError: the path names no file.
        OSError: the disk is full or the folder cannot be written.
    """
    prefix = table_prefix(path)
    rows = _write_rows(table.rows)
    document = _document(table)
    document["sha256"] = {"rows": _sha256(rows.encode()), "samples": _sha256(table.raw)}
    document["sha256"]["this"] = _fingerprint(document)
    write_bytes(table_file(prefix, ".samples.csv.gz"), table.raw)
    write_text(table_file(prefix, ".csv"), rows)
    write_text(table_file(prefix, ".toml"), tomli_w.dumps(document, multiline_strings=True))
    return _placed(table, prefix)


def load_table(name_or_path: str | Path) -> LatencyTable:
    """Read a table from a path (with or without suffix), or the table of that name in `./latency_tables` or shipped.

    Raises:
        ConfigError: there is none.
        FormatError: it is unfinished, truncated, edited, of another schema version, or holds impossible rows; the
            file and row are named.
    """
    prefix = _find(table_prefix(name_or_path))
    try:
        return _placed(_load(prefix), prefix)
    except FormatError as error:
        remedy = "restore its files, or delete them and run mnas profile again"
        if unfinished(prefix):
            remedy = "mnas was killed while it saved the table: run the same mnas profile again, it ends that"
        raise FormatError(f"{error}; {remedy}") from error


def _load(prefix: Path) -> LatencyTable:
    document = _read_document(table_file(prefix, ".toml"))
    file = table_file(prefix, ".csv")
    text = _read(file)
    rows = _read_rows(file, text)
    _verify(file, text, document["sha256"]["rows"])
    file = table_file(prefix, ".samples.csv.gz")
    raw = _read(file)
    _verify(file, raw, document["sha256"]["samples"])
    try:
        return _table(document, rows, raw)
    except (KeyError, TypeError, ValueError, MnasError) as error:
        raise FormatError(f"{table_file(prefix, '.toml')} is malformed: {error!r}") from error


def table_exists(path: str | Path) -> bool:
    """Whether `load_table` would find a complete table at this path itself."""
    return table_file(table_prefix(path), ".toml").is_file()


def unfinished(prefix: Path) -> bool:
    """Whether a measurement into the table at `prefix` was begun and did not end."""
    return (table_file(prefix, ".partial") / PLAN).is_file()


def check_whole(prefix: Path) -> None:
    """Make sure that no table lies at `prefix` without its TOML, unless a measurement there will complete it.

    Raises:
        FormatError: one does; its files are named.
    """
    if table_exists(prefix) or unfinished(prefix):
        return
    if files := [str(file) for suffix in SUFFIXES if (file := table_file(prefix, suffix)).exists()]:
        raise FormatError(
            f"{' and '.join(files)} without {table_file(prefix, '.toml')}: no table, and no measurement that could go "
            "on; restore the TOML, or delete what is left and profile again"
        )


def check_free(path: str | Path) -> Path:
    """The prefix of a table that is not there yet.

    Raises:
        ConfigError: the path names no file, or one of the table's files exists.
    """
    prefix = table_prefix(path)
    for suffix in (*SUFFIXES, ".partial"):
        if (file := table_file(prefix, suffix)).exists():
            raise ConfigError(f"{file} exists already: give another name with -o, or delete that table first")
    return prefix


def own_tables() -> tuple[Path, ...]:
    """The tables in `./latency_tables`, as prefixes; none where that is the folder of the shipped ones."""
    return () if OWN.resolve() == folder("latency_tables").resolve() else _tables(OWN)


def shipped_tables() -> tuple[Path, ...]:
    """The tables that come with mnas, as prefixes."""
    return _tables(folder("latency_tables"))


def _tables(place: Path) -> tuple[Path, ...]:
    return tuple(sorted(table_prefix(file) for file in place.glob("*.toml")))


def _placed(table: LatencyTable, prefix: Path) -> LatencyTable:
    return replace(table, name=prefix.name, path=str(prefix))


def _find(prefix: Path) -> Path:
    shipped = folder("latency_tables")
    for place in (prefix, OWN / prefix, shipped / prefix):
        if table_exists(place):
            return place
    for place in (prefix, OWN / prefix):
        check_whole(place)
        if unfinished(place):
            raise FormatError(
                f"table {place} is unfinished: run the same mnas profile again, it goes on where it stopped"
            )
    own, known = (_names(tables) for tables in (own_tables(), shipped_tables()))
    raise ConfigError(
        f"no latency table {prefix}; in ./{OWN}: {own}; shipped: {known}; "
        f"make it with: mnas profile --space S -o {prefix}"
    )


def _names(tables: tuple[Path, ...]) -> str:
    return ", ".join(table.name for table in tables) or "none"


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise FormatError(f"cannot read {file}: {error.strerror}") from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _verify(file: Path, data: bytes, expected: str) -> None:
    if _sha256(data) != expected:
        raise FormatError(f"{file} was edited or truncated (its SHA-256 is not the recorded one)")


def _fingerprint(document: Mapping[str, Any]) -> str:
    """SHA-256 of a document's content but for this value, whatever its layout."""
    sums = {key: value for key, value in document["sha256"].items() if key != "this"}
    return _sha256(json.dumps({**document, "sha256": sums}, sort_keys=True).encode())


def _read_document(file: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = tomllib.loads(_read(file).decode())
    except ValueError as error:
        raise FormatError(f"{file} is no TOML, perhaps truncated: {error}") from error
    if document.get("schema") != SCHEMA:
        raise FormatError(f"{file} has schema version {document.get('schema')!r}, this mnas reads {SCHEMA}")
    sums = document.get("sha256")
    if not isinstance(sums, dict) or not {"rows", "samples", "this"} <= set(sums):
        raise FormatError(f"{file} lacks its checksums, perhaps truncated")
    if _fingerprint(document) != sums["this"]:
        raise FormatError(f"{file} was edited or truncated (its SHA-256 is not the recorded one)")
    return document


def _document(table: LatencyTable) -> dict[str, Any]:
    fit = table.calibration
    return {
        "schema": SCHEMA,
        "date": table.date,
        "mnas_version": table.version,
        "verdict": table.verdict,
        "remedy": table.remedy,
        "time": table.time,
        "conditions": table.conditions.to_dict(),
        "facts": dict(table.facts),
        "calibration": {
            "overhead_ms": fit.overhead_ms,
            "scale": fit.scale,
            "per_row_ms": fit.per_row_ms,
            "interval_relative": fit.interval_relative,
            "residuals": list(fit.residuals),
            "least_ms": fit.least_ms,
            "largest_ms": fit.largest_ms,
            "folds_constants": fit.folds_constants,
            "interval_networks": fit.interval_networks,
            "corrections": dict(fit.corrections),
        },
        "check": table.check._asdict(),
        "remeasurement": table.remeasurement._asdict(),
        "rows_remeasurement": table.rows_remeasurement._asdict(),
        "effort": table.effort._asdict(),
        "failed": {str(placement): reason for placement, reason in table.failed.items()},
        "networks": [network._asdict() for network in table.networks],
    }


def _table(document: Mapping[str, Any], rows: Mapping[Placement, Row], raw: bytes) -> LatencyTable:
    fit = dict(document["calibration"])
    return LatencyTable(
        name="",
        conditions=Conditions.from_dict(document["conditions"]),
        time=document["time"],
        facts=document["facts"],
        rows=rows,
        failed={Placement.parse(text): reason for text, reason in document["failed"].items()},
        calibration=Calibration(**{**fit, "residuals": tuple(fit["residuals"])}),
        networks=tuple(MeasuredNetwork(**network) for network in document["networks"]),
        remeasurement=Remeasurement(**document["remeasurement"]),
        rows_remeasurement=Remeasurement(**document["rows_remeasurement"]),
        check=Check(**document["check"]),
        verdict=document["verdict"],
        remedy=document["remedy"],
        effort=Effort(**document["effort"]),
        date=document["date"],
        version=document["mnas_version"],
        raw=raw,
    )


def _write_rows(rows: Mapping[Placement, Row]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_HEADER)
    writer.writerows((str(placement), *row) for placement, row in rows.items())
    return out.getvalue()


def _read_rows(file: Path, data: bytes) -> dict[Placement, Row]:
    try:
        lines = list(csv.reader(io.StringIO(data.decode())))
    except (ValueError, csv.Error) as error:
        raise FormatError(f"{file} is no CSV: {error}") from error
    if not lines or tuple(lines[0]) != _HEADER:
        raise FormatError(f"{file} must start with the line {','.join(_HEADER)}")
    rows: dict[Placement, Row] = {}
    wrong: list[str] = []
    for number, line in enumerate(lines[1:], start=2):
        try:
            placement, row = _read_row(line)
            if placement in rows:
                raise ValueError("the placement occurs twice")
        except (ValueError, MnasError) as error:
            wrong.append(f"line {number} ({line[0] if line else ''}): {error}")
        else:
            rows[placement] = row
    if wrong:
        more = f"\n  ... and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise FormatError(f"{file} " + "\n  ".join(wrong[:_SHOWN]) + more)
    return rows


def _read_row(cells: list[str]) -> tuple[Placement, Row]:
    if len(cells) != len(_HEADER):
        raise ValueError(f"{len(cells)} cells instead of {len(_HEADER)}")
    median, low, high, share = (float(cells[i]) for i in (1, 2, 3, 6))
    rounds, reps = int(cells[4]), int(cells[5])
    for name, value in (("median_ms", median), ("ci_low_ms", low), ("ci_high_ms", high)):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be a positive number, got {value}")
    if not low <= median <= high:
        raise ValueError(f"median_ms {median} must lie between ci_low_ms {low} and ci_high_ms {high}")
    if min(rounds, reps) < 0 or (rounds == 0) != (reps == 0) or not 0 <= share <= 1:
        raise ValueError("rounds and reps must be at least 1 (or both 0: not measured) and preempted_share in 0..1")
    return Placement.parse(cells[0]), Row(median, low, high, rounds, reps, share)
