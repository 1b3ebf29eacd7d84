"""What is measured: files of every network, in the numbers asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnas.errors import ConfigError
from mnas.ir import Architecture, Network, Placement
from mnas.latency.models import write_models
from mnas.lower import float_operators, read_metadata
from mnas.runtimes import runtimes

NETWORKS: dict[str, Network] = {
    "row": Placement.parse("mbconv_c8_se0.25@8x9x10"),
    "join": Placement.parse("identity@8x9x10+8x9x10"),
    "network": Architecture.parse("input 3x16x16\nconv_c8_s2\nhead_c16_n5"),
}


@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
def test_int8(runtime: str, tmp_path: Path) -> None:
    chosen = runtimes[runtime]
    models = write_models(NETWORKS, tmp_path, chosen, 0, "int8")
    assert list(models.files) == list(NETWORKS)
    assert models.failed == {}
    for name, file in models.files.items():
        assert read_metadata(file.read_bytes(), chosen.format)["dtype"] == "int8"
        assert read_metadata(file.read_bytes(), chosen.format)["architecture"] == str(NETWORKS[name])
        assert float_operators(file.read_bytes(), chosen.format) == {}


def test_an_unknown_dtype(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="written in float32 or int8, not in 'int4'"):
        write_models(NETWORKS, tmp_path, runtimes["litert"], 0, "int4")
    assert list(tmp_path.iterdir()) == []
