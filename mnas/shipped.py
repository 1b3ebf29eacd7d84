"""Data that travels with mnas: devices and latency tables, in a checkout and in the wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

_PACKAGE = Path(__file__).resolve().parent


def folder(name: Literal["devices", "latency_tables"]) -> Path:
    """The folder of the shipped files of one kind: inside the package if installed, beside it in a checkout."""
    inside = _PACKAGE / "data" / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def installed(path: str | Path) -> bool:
    """Whether a file lies inside the installed package, where users write nothing."""
    return Path(path).resolve().is_relative_to(_PACKAGE)
