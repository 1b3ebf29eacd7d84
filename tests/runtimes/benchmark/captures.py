"""Captured outputs of real `benchmark_model`s, if they are there."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[4] / "shared" / "samples"


def capture(name: str) -> str:
    """The text of a capture; skips the test without it."""
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(f"no captured output {path.name} in ../shared/samples")
    return path.read_text(encoding="utf-8")
