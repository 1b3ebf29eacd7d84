"""Data that travels with mnas: devices and latency tables, in a checkout and in the wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def folder(name: Literal["devices", "latency_tables"]) -> Path:
    """The folder of the shipped files of one kind: inside the package if installed, beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "data" / name
    return installed if installed.is_dir() else package.parent / name
