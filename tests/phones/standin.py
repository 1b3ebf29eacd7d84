"""Installs the stand-in for `benchmark_model`: a script that this interpreter runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.phones import replay

_STARTS = "starts"


def install(folder: Path, style: str = "proto", faults: Mapping[str, str] | None = None) -> Path:
    """Write the tool into `folder`, where it counts its starts (see `starts`).

    Args:
        folder: where.
        style: "text" prints as TensorFlow 2.1 does, "csv" as 2.4, "proto" as LiteRT.
        faults: what goes wrong, by name, with the text in a model's file that it strikes.
    """
    path = folder / "benchmark_model"
    names = f"STYLE, FAULTS, STARTS = {style!r}, {json.dumps(dict(faults or {}))}, {str(folder / _STARTS)!r}"
    own = f"\n{names}\nsys.exit(main(sys.argv[1:]))\n"
    path.write_text(f"#!{sys.executable} -IS\n{Path(replay.__file__).read_text()}{own}")
    path.chmod(0o755)
    return path


def starts(folder: Path) -> int:
    """How often the tool of `folder` was started."""
    return len((folder / _STARTS).read_text().splitlines())
