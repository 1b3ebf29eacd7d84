"""Installs the stand-in for `benchmark_model`: a script that this interpreter runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.phones import replay


def install(folder: Path, style: str = "proto", faults: Mapping[str, str] | None = None) -> Path:
    """Write the tool into `folder`.

    Args:
        folder: where.
        style: "text" prints as TensorFlow 2.1 does, "csv" as 2.4, "proto" as LiteRT.
        faults: what goes wrong, by name, with the text in a model's file that it strikes.
    """
    path = folder / "benchmark_model"
    own = f"\nSTYLE, FAULTS = {style!r}, {json.dumps(dict(faults or {}))}\nsys.exit(main(sys.argv[1:]))\n"
    path.write_text(f"#!{sys.executable} -IS\n{Path(replay.__file__).read_text()}{own}")
    path.chmod(0o755)
    return path
