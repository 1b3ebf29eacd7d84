from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mnas.latency import bench, load_table, profile, report
from mnas.lower import Format, initial_weights, lower
from mnas.spaces import sample
from tests.latency.fakes import tiny


@pytest.mark.slow
@pytest.mark.parametrize(("runtime", "kind"), [("litert", "tflite"), ("onnxruntime", "onnx")])
def test_profile_predict_and_bench(tmp_path: Path, runtime: str, kind: Format) -> None:
    space = tiny(stages=2)
    table = profile(space, runtime=runtime, out=tmp_path / "t", passes=4, networks=(10, 9, 6))
    assert table == load_table(tmp_path / "t") == profile(space, runtime=runtime, out=tmp_path / "t", passes=4)
    assert set(table.rows) == set(space.placements())
    assert table.failed == {}
    assert all(row.median_ms < 5 for row in table.rows.values())
    assert report(table)["check"]["n"] == 6
    architecture = space.decode(tuple(sample(space, np.random.default_rng(5), 1)[0].tolist()))
    model = tmp_path / f"model.{kind}"
    said = {"architecture": str(architecture)}
    model.write_bytes(lower(architecture, initial_weights(architecture, 1), kind, said))
    (found,) = bench([model], against=table, loads=2)
    assert found.conditions == table.conditions
    assert found.anchored_ms is not None
    assert found.predicted_ms == pytest.approx(table.predict(architecture).ms)
    assert found.anchored_ms == pytest.approx(found.predicted_ms, rel=0.5)  # microseconds on a busy machine
