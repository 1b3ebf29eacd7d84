"""The latency tables that travel with the package: whole, believed, and enough for the space they are named after."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from mnas.latency import load_table
from mnas.shipped import folder
from mnas.spaces import sample, space

NAMES = [
    "-".join(parts)
    for parts in product(("mnasnet-small", "mnasnet"), ("amd-epyc",), ("litert", "onnxruntime"), ("float32", "int8"))
]


def test_nothing_else_is_shipped() -> None:
    assert sorted(file.stem for file in folder("latency_tables").glob("*.toml")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_table_prices_its_space(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    table = load_table(name)
    searched = space(name.partition("-amd-epyc-")[0])
    assert table.verdict == "valid"
    table.check_real()
    assert table.conditions.device == "amd-epyc"
    assert table.conditions.runtime in name
    assert name.endswith(table.conditions.dtype)
    assert table.check.n >= 20
    assert table.remeasurement.n >= 20
    table.check_covers(searched)
    ms = table.predict_batch(searched, sample(searched, np.random.default_rng(0), 100))
    assert np.isfinite(ms).all()
    assert not table.samples.empty
