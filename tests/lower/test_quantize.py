from __future__ import annotations

import numpy as np
import pytest

from mnas.errors import ConfigError, FormatError
from mnas.ir import Placement
from mnas.lower import noise, parse_dtype
from mnas.lower.quantize import Range, kernel_scales, ranges


def test_dtypes() -> None:
    assert [parse_dtype(text) for text in ("float32", "int8")] == ["float32", "int8"]
    with pytest.raises(ConfigError, match="float32 or int8, not in 'uint8'"):
        parse_dtype("uint8")


def test_noise_is_one_sample_for_every_input() -> None:
    network = Placement.parse("identity@4x5x6|8x5x6")
    one, again, other = noise(network), noise(network), noise(network, 1)
    assert [array.shape for array in one] == [(1, 4, 5, 6), (1, 8, 5, 6)]
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not np.array_equal(one[0], other[0])


def test_ranges_span_all_runs() -> None:
    runs = [{"a": np.array([-1, 2], np.float32), "dead": np.zeros(3, np.float32)}, {"a": np.array([5], np.float32)}]
    assert ranges(runs) == {"a": Range(-1, 5), "dead": Range(0, 1)}


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_ranges_are_finite(wrong: float) -> None:
    with pytest.raises(FormatError, match="'a' is not finite"):
        ranges([{"a": np.array([1, wrong], np.float32)}])


def test_scales_hold_kernels_and_biases() -> None:
    kernel = np.array([[1.27, -0.1], [0.5, -2.54], [1e-12, 0], [0, 0]], np.float32)
    bias = np.array([0, 1, 100, 0], np.float32)
    scales = kernel_scales(kernel, bias, Range(0, 2.55))
    assert scales[:2] == pytest.approx([0.01, 0.02])
    assert (scales > 0).all()
    assert np.abs(bias / (scales * 0.01)).max() <= 2**31 - 1
