"""Reading back what was lowered, in either format, and refusing what is no model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnas.errors import FormatError
from mnas.ir import Architecture
from mnas.lower import Format, initial_weights, lower
from mnas.reading import is_model, primitives_of, read_model
from mnas.spaces import sample, space
from mnas.spaces.reference import reference
from tests.lower.languages import agree
from tests.reading.foreign import stripped
from tests.strategies import architectures

FORMATS: tuple[Format, Format] = ("onnx", "tflite")
SMALL = space("mnasnet-small")


@settings(max_examples=8, deadline=None)
@given(architectures(SMALL))
def test_any_architecture_is_read_back_from_both_formats(
    tmp_path_factory: pytest.TempPathFactory, architecture: Architecture
) -> None:
    """The same primitives from both, of as many MACs; they lower, run, and read back as themselves."""
    folder = tmp_path_factory.getbasetemp()
    found = []
    for kind in FORMATS:
        path = folder / f"lowered.{kind}"
        path.write_bytes(stripped(architecture, kind))
        model = read_model(path)
        assert model.coverage() == (1, 1)
        assert model.architecture.cost.macs == architecture.cost.macs
        assert model.architecture.y == architecture.y
        path.write_bytes(stripped(model.architecture, kind))
        assert read_model(path).architecture == model.architecture
        found.append(model.architecture)
    assert found[0] == found[1]


@pytest.mark.parametrize("encoding", sample(SMALL, np.random.default_rng(0), 2).tolist())
def test_pieces_of_what_was_read_run_with_the_same_shapes(tmp_path: Path, encoding: list[int]) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(stripped(SMALL.decode(tuple(encoding)), "onnx"))
    each = primitives_of(path)
    assert each.name == "primitives-net"
    for drawn in sample(each, np.random.default_rng(1), 3).tolist():
        agree(each.decode(tuple(drawn)))


@pytest.mark.parametrize("name", ["mnasnet-a1", "mobilenet-v3-large", "darts-v2"])
def test_published_networks(tmp_path: Path, name: str) -> None:
    for kind in FORMATS:
        path = tmp_path / f"net.{kind}"
        path.write_bytes(stripped(reference(name), kind))
        model = read_model(path)
        assert (model.unknown, model.architecture.cost.macs) == ((), reference(name).cost.macs)


def test_what_mnas_wrote_says_its_architecture(tmp_path: Path) -> None:
    architecture = Architecture.parse("input 1x16x16\nconv_c8_s2\nhead_c16_n10")
    for kind in FORMATS:
        path = tmp_path / f"net.{kind}"
        path.write_bytes(lower(architecture, initial_weights(architecture), kind, {"architecture": str(architecture)}))
        assert read_model(path).said == str(architecture)
        assert is_model(path)
    assert not is_model(tmp_path / "absent.onnx")
    assert not is_model("mnasnet-a1")


@pytest.mark.parametrize("kind", FORMATS)
@settings(max_examples=40, deadline=None)
@given(share=st.floats(0, 0.98))
def test_truncated_files_are_refused(tmp_path_factory: pytest.TempPathFactory, kind: Format, share: float) -> None:
    whole = stripped(Architecture.parse("input 1x16x16\nconv_c8_s2\nhead_c16_n10"), kind)
    path = tmp_path_factory.getbasetemp() / f"truncated.{kind}"
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(FormatError, match=f"truncated.{kind}: "):
        read_model(path)


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"cannot read .*absent\.onnx: No such file"):
        read_model(tmp_path / "absent.onnx")
    (tmp_path / "net.pb").write_bytes(b"")
    with pytest.raises(FormatError, match=r"ends in .onnx or .tflite, not in .pb"):
        read_model(tmp_path / "net.pb")


@pytest.mark.parametrize("kind", FORMATS)
def test_int8_files_are_read_as_int8(tmp_path: Path, kind: Format) -> None:
    architecture = Architecture.parse("input 3x16x16\nconv_c8_s2_ahswish\nmbconv_c8_e3_se0.25_ghsigmoid\nhead_c16_n10")
    path = tmp_path / f"net.{kind}"
    path.write_bytes(lower(architecture, initial_weights(architecture), kind, dtype="int8"))
    model = read_model(path)
    assert (model.dtype, model.unknown, model.architecture.cost.macs) == ("int8", (), architecture.cost.macs)
    assert str(model.placements[0].op) == "conv2d_c8_kh3_kw3_sh2_sw2_ahswish"
