from __future__ import annotations

import numpy as np
import onnx
import pytest

from mnas.ir import Architecture
from mnas.latency.pricing import executed, is_constant
from mnas.lower import initial_weights, lower
from mnas.spaces import sample, space


def texts(architecture: str, *, folds: bool = False) -> list[str]:
    return [str(placement) for placement in executed(Architecture.parse(architecture), folds)]


def test_chains_are_executed_whole() -> None:
    small = space("mnasnet-small")
    for encoding in sample(small, np.random.default_rng(0), 5).tolist():
        architecture = small.decode(tuple(encoding))
        assert executed(architecture, False) == executed(architecture, True) == architecture.placements
        assert not is_constant(architecture)


def test_identities_and_unread_values_cost_nothing() -> None:
    text = "input 4x8x8\nidentity\nconv_c4 add 1\nconv_c8 add 0\nconv_c4_k5 add 2"
    assert texts(text) == ["conv_c4@4x8x8", "conv_c4_k5@4x8x8"]


def test_zeros_cut_what_only_they_read() -> None:
    text = "input 4x8x8\nconv_c4\nzero\nconv_c4_k5 add 0\nidentity add 2 3"
    assert texts(text) == ["conv_c4_k5@4x8x8", "identity@4x8x8+4x8x8"]
    assert texts(text, folds=True) == ["conv_c4_k5@4x8x8", "identity@4x8x8+4x8x8"]


def test_what_is_fed_by_constants_is_executed_unless_folded() -> None:
    text = "input 4x8x8\nzero\nconv_c4\nconv_c4_k5 add 0\nidentity add 2 3"
    assert "conv_c4@4x8x8" in texts(text)
    assert "conv_c4@4x8x8" not in texts(text, folds=True)


def test_networks_that_zeros_cut_off_are_constant() -> None:
    assert is_constant(Architecture.parse("input 4x8x8\nconv_c4\nzero\nconv_c4"))
    assert not is_constant(Architecture.parse("input 4x8x8\nconv_c4\nzero\nidentity add 1 2"))
    assert is_constant(space("nasbench201").decode((0,) * 6))


@pytest.mark.parametrize("seed", range(8))
def test_the_lowered_network_holds_exactly_what_is_executed(seed: int) -> None:
    cells = space("nasbench201")
    architecture = cells.decode(tuple(sample(cells, np.random.default_rng(seed), 1)[0].tolist()))
    lowered = onnx.load_model_from_string(lower(architecture, initial_weights(architecture, 0), "onnx"))
    written = {name.split(".")[0] for node in lowered.graph.node for name in node.output if name.startswith("n")}
    assert len(written) == len(executed(architecture, False))
