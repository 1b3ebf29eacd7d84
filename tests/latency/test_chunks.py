from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnas.errors import ConfigError
from mnas.ir import Architecture, Bundle, Network, Placement
from mnas.latency.chunks import choose_repeats, deal, loaded_bytes, pack
from mnas.latency.scheme import scheme
from mnas.runtimes import runtimes
from mnas.spaces import space

ITEMS: dict[str, Network] = {str(placement): placement for placement in space("mnasnet-small").placements()}
ANCHORS = list(ITEMS)[:8]


@settings(max_examples=15, deadline=None)
@given(st.floats(0.2, 0.6), st.integers(0, 5))
def test_chunks_hold_every_item_once_and_fit(max_memory_gb: float, seed: int) -> None:
    chunks = pack(ITEMS, ANCHORS, max_memory_gb, seed)
    assert all(chunk[:8] == ANCHORS for chunk in chunks)
    assert sorted(name for chunk in chunks for name in chunk[8:]) == sorted(set(ITEMS) - set(ANCHORS))
    sizes = [sum(loaded_bytes(ITEMS[name]) for name in chunk) for chunk in chunks]
    assert max(sizes) <= max_memory_gb * 1e9
    assert chunks == pack(ITEMS, ANCHORS, max_memory_gb, seed)


def test_memory_decides_the_number_of_chunks() -> None:
    assert [len(pack(ITEMS, ANCHORS, memory, 0)) for memory in (2.0, 0.3)] == [1, 3]


def test_anchors_alone_are_one_chunk() -> None:
    assert pack({name: ITEMS[name] for name in ANCHORS}, ANCHORS, 2.0, 0) == [ANCHORS]


@pytest.mark.parametrize("memory", [0.01, 0.18])
def test_memory_that_is_too_small_is_refused(memory: float) -> None:
    big = {"big": Placement.parse("head_c1280@1280x7x7")} | ITEMS
    with pytest.raises(ConfigError, match=rf"max_memory_gb {memory:g} is too small: .* need at least 0\.22 GB"):
        pack(big, ANCHORS, memory, 0)


def test_memory_grows_with_weights_and_maps() -> None:
    small, wide, large = map(Placement.parse, ("conv_c8@8x8x8", "conv_c1024@8x8x8", "conv_c8@8x512x512"))
    assert loaded_bytes(small) < loaded_bytes(wide) < loaded_bytes(large)
    assert loaded_bytes(large) > 4 * 2 * 8 * 512 * 512
    network = Architecture.parse("input 8x8x8\nconv_c8\nconv_c8\nconv_c8")
    assert loaded_bytes(network) < 3 * loaded_bytes(small)
    two = Bundle((large, Placement.parse("conv_c8@8x256x256")))
    assert loaded_bytes(two) > loaded_bytes(large) + 4 * 2 * 8 * 256 * 256


def test_dear_networks_are_measured_less_often() -> None:
    among = scheme(runtimes["litert"], "isolated").repeats
    cheap = choose_repeats([ITEMS.values()], 2, 1, among)
    dear = choose_repeats([space("mnasnet").placements()], 2, 1, among)
    assert cheap == (6, 5)
    assert dear.passes * dear.reps < cheap.passes * cheap.reps
    assert dear.passes * 2 >= 6  # the interval of a median needs six rounds


def test_rounds_share_the_others() -> None:
    dealt = deal([["a"], ["b", "c"]], ["x", "y", "z"], ["all"])
    assert dealt == [["all", "x", "z", "a"], ["all", "y", "b", "c"]]
