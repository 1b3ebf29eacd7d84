"""NAS-RL's rules of skip connections, its growth, and the published space."""

from __future__ import annotations

from itertools import islice, product

import numpy as np
import pytest

from mnas.errors import ConfigError
from mnas.ir import Architecture, Shape
from mnas.spaces import SearchSpace, pruned, sample, size, space
from mnas.spaces.nasrl import Growth, NasRLSpace

PLAIN = NasRLSpace("plain", Shape(3, 8, 8), 10, layers=(1, 2, 3), kernels=(1, 3), strides=(1, 2), filters=(4, 8))


def decoded(space: SearchSpace, **chosen: int) -> Architecture:
    """The network of the given options by name (`_` for `.`), first options elsewhere."""
    by_name = {name.replace("_", ".", 1): value for name, value in chosen.items()}
    encoding = [choice.options.index(by_name.pop(choice.name, choice.options[0])) for choice in space.choices]
    assert not by_name
    return space.decode(tuple(encoding))


def lines(architecture: Architecture) -> list[str]:
    return str(architecture).splitlines()[1:]


def test_choices() -> None:
    names = [choice.name for choice in PLAIN.choices]
    assert names[0] == "layers"
    assert names[1:6] == [f"layer1.{n}" for n in ("height", "width", "stride_height", "stride_width", "filters")]
    assert names[-2:] == ["layer3.reads1", "layer3.reads2"]
    assert size(PLAIN) == 3 * (2**5) ** 3 * 2**3
    assert "layer1.stride_height" not in [c.name for c in NasRLSpace("x", Shape(1, 8, 8), 2, (1, 2)).choices]


def test_a_layer_without_input_reads_the_image_and_unread_outputs_go_to_the_classifier() -> None:
    assert lines(decoded(PLAIN, layers=2)) == [
        "cbr_c4_kh1_kw1", "cbr_c4_kh1_kw1 add 0", "identity cat 1 2", "classifier",
    ]  # fmt: skip
    assert lines(decoded(PLAIN, layers=2, layer2_reads1=1)) == ["cbr_c4_kh1_kw1", "cbr_c4_kh1_kw1", "classifier"]


def test_inputs_are_concatenated_in_depth_once() -> None:
    network = decoded(PLAIN, layers=3, layer1_filters=8, layer3_reads1=1, layer3_reads2=1)
    assert lines(network)[2:] == ["identity cat 2 1", "cbr_c4_kh1_kw1", "classifier"]
    assert network.placements[3].x == Shape(12, 8, 8)


def test_smaller_maps_are_padded_with_zeros_to_the_largest() -> None:
    """The height of one and the width of the other: both are padded."""
    network = decoded(PLAIN, layers=3, layer1_stride_height=2, layer2_stride_width=2, layer3_reads1=1, layer3_reads2=1)
    assert lines(network)[2:5] == ["window_h8_w8 add 1", "window_h8_w8 add 2", "identity cat 3 4"]
    assert [str(p) for p in network.placements[2:4]] == ["window_h8_w8@4x4x8", "window_h8_w8@4x8x4"]


def test_rows_are_those_of_some_network() -> None:
    """All networks of a space of 4096."""
    each = NasRLSpace("x", Shape(1, 8, 8), 2, (3,), kernels=(1,), strides=(1, 2), filters=(4, 8), smallest=4)
    networks = [each.decode(e) for e in product(*(range(len(choice.options)) for choice in each.choices))]
    assert {p for network in networks for p in network.placements} == set(each.placements())


def test_the_default_space_can_be_measured() -> None:
    for side in (28, 32, 64, 224):
        rows = list(space("nasrl", image_size=side).placements())
        assert len(set(rows)) == len(rows) < 2000


def test_without_anchors_layers_are_a_chain() -> None:
    each = NasRLSpace("chain", Shape(3, 16, 16), 10, layers=(2, 4), strides=(1, 2), smallest=4, anchors=False)
    network = decoded(each, layers=4, layer1_stride_height=2)
    assert [node.sources for node in network.nodes] == [(0,), (1,), (2,), (3,), (4,)]
    assert not any("reads" in choice.name for choice in each.choices)
    assert set(network.placements) <= set(each.placements())


def test_growth_opens_deeper_networks() -> None:
    published = NasRLSpace(
        "nasrl", Shape(3, 32, 32), 10, tuple(range(6, 16, 2)), kernels=(1, 3, 5, 7), strides=(1, 2, 3),
        filters=(24, 36, 48, 64), growth=Growth(1, 1600),
    )  # fmt: skip
    assert [int(published.open_options(n)[0]) for n in (0, 1599, 1600, 3200, 10**6)] == [1, 1, 2, 3, 5]
    assert (published.open_options(0)[1:] == [len(choice.options) for choice in published.choices[1:]]).all()
    one = NasRLSpace("one", Shape(3, 8, 8), 10, layers=(2,))
    assert one.choices[0].name == "layer1.height"
    assert (one.open_options(0) == [len(choice.options) for choice in one.choices]).all()
    assert one.active(np.zeros((3, len(one.choices)), np.int64)).all()


def test_the_published_space_with_strides_is_decoded_and_its_rows_begin() -> None:
    """Nobody lists them all."""
    each = NasRLSpace(
        "nasrl", Shape(3, 32, 32), 10, (6, 15), kernels=(1, 3, 5, 7), strides=(1, 2, 3), filters=(24, 36, 48, 64)
    )
    for encoding in sample(each, np.random.default_rng(0), 20).tolist():
        assert each.decode(tuple(encoding)).y == Shape(10, 1, 1)
    assert len(set(islice(each.placements(), 5000))) == 5000


def test_inactive_choices_are_those_of_layers_beyond_the_last() -> None:
    raw = np.ones((1, len(PLAIN.choices)), np.int64)
    kept = [choice.name for choice, index in zip(PLAIN.choices, pruned(PLAIN, raw)[0], strict=True) if index]
    assert {name.split(".")[0] for name in kept} == {"layers", "layer1", "layer2"}


@pytest.mark.parametrize(("layers", "filters"), [((), (4,)), ((3, 2), (4,)), ((1,), (0, 4)), ((1,), (4, 4))])
def test_options_are_rising_positive_numbers(layers: tuple[int, ...], filters: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="rising order"):
        NasRLSpace("bad", Shape(3, 8, 8), 10, layers, filters=filters)


def test_bad_growth_and_image() -> None:
    with pytest.raises(ConfigError, match="growth"):
        NasRLSpace("bad", Shape(3, 8, 8), 10, (1,), growth=Growth(0, 5))
    with pytest.raises(ConfigError, match="image_size"):
        space("nasrl", image_size=4)
