from __future__ import annotations

import numpy as np
import pytest

from mnas.errors import ConfigError
from mnas.evaluate.oneshot import Chain, Path
from mnas.ir import Architecture, Shape
from mnas.spaces import ChainSpace, sample, space, values


def texts(path: Path) -> list[tuple[int, int, str]]:
    return [(placed.segment, placed.ordinal, str(placed.op)) for placed in path]


@pytest.mark.parametrize("name", ["mnasnet-small", "mnasnet"])
def test_a_path_is_the_network_and_is_recognised(name: str) -> None:
    searched = space(name, classes=10, image_size=32)
    chain = Chain(searched)
    every = set(chain.everything())
    for encoding in map(tuple, sample(searched, np.random.default_rng(0), 25).tolist()):
        architecture, path = searched.decode(encoding), chain.path(encoding)
        assert [placed.op for placed in path] == [node.op for node in architecture.nodes]
        assert [placed.x for placed in path] == [placement.x for placement in architecture.placements]
        assert set(path) <= every
        found = chain.recognise(architecture.canonical())
        assert [(placed.op, placed.x) for placed in found] == [(placed.op, placed.x) for placed in path]
        assert set(found) <= every


def test_stem_and_head_stand_at_one_place_whatever_the_depth(chain_space: ChainSpace) -> None:
    chain = Chain(chain_space)
    ends = set()
    for encoding in map(tuple, sample(chain_space, np.random.default_rng(0), 50).tolist()):
        path = chain.path(encoding)
        ends.add((path[0][:2], path[-1].op.name, path[-1][:2]))
        layers = path[1:-1]
        for segment in range(2):
            own = [placed.ordinal for placed in layers if placed.segment == segment]
            first = int(segment == 0 and layers[0].op.name == "conv")  # the stem is a conv, too
            assert own == list(range(first, first + len(own)))
    assert ends == {((0, 0), "head", (1, 0))}


def test_equal_networks_are_recognised_as_one_path() -> None:
    """Two layers of 24 channels may be of one stage and then of the other, or the other way round."""
    searched = space("mnasnet-small", classes=10, image_size=16)
    names = [choice.name for choice in searched.choices]

    def encoded(depths: tuple[int, int]) -> tuple[int, ...]:
        chosen = dict.fromkeys(names, 0)
        chosen |= {"stage0.width": 2, "stage1.width": 0, "stage0.depth": depths[0], "stage1.depth": depths[1]}
        return tuple(chosen[name] for name in names)

    one, other = encoded((2, 0)), encoded((0, 1))
    assert searched.decode(one) == searched.decode(other)
    chain = Chain(searched)
    assert chain.path(one) != chain.path(other)
    assert chain.recognise(searched.decode(one)) == chain.recognise(searched.decode(other))


def test_what_is_no_network_of_the_space_is_refused(chain_space: ChainSpace) -> None:
    chain = Chain(chain_space)
    whole = chain_space.decode((0,) * len(chain_space.choices))
    for other in (
        Architecture(whole.x, whole.nodes[:-1]),
        Architecture(Shape(1, 16, 16), whole.nodes),
        Architecture.parse("input 1x8x8\nconv_c8_s2\nidentity\nidentity add 1 2\nhead_c8_n3"),
        Architecture.parse(f"{whole}\nidentity"),
    ):
        with pytest.raises(ConfigError, match="none of space chain"):
            chain.recognise(other)


def test_a_space_of_cells_cannot_share() -> None:
    with pytest.raises(ConfigError, match=r"nasbench201 cannot share weights.*that can: mnasnet, mnasnet-small"):
        Chain(space("nasbench201"))


def test_draws_are_fair_to_the_kinds_of_ops() -> None:
    """MBConvs of two expansions share weights: they are half of the options, but a third of the draws."""
    searched = space("mnasnet-small", classes=10, image_size=16)
    chain, rng = Chain(searched), np.random.default_rng(0)
    drawn = np.array([chain.draw(rng) for _ in range(1500)])
    for i, choice in enumerate(searched.choices):
        counts = np.bincount(drawn[:, i], minlength=len(choice.options)) / len(drawn)
        fair = [1 / 3, 1 / 3, 1 / 6, 1 / 6] if choice.name.endswith("op") else [1 / len(choice.options)] * len(counts)
        assert counts == pytest.approx(fair, abs=0.05)
    assert chain.draw(np.random.default_rng(5)) == chain.draw(np.random.default_rng(5))


def test_the_widest_differs_in_its_widths_only(chain_space: ChainSpace) -> None:
    chain = Chain(chain_space)
    for encoding in map(tuple, sample(chain_space, np.random.default_rng(1), 30).tolist()):
        wide = chain.widest(encoding)
        pairs = zip(chain_space.choices, values(chain_space, encoding), values(chain_space, wide), strict=True)
        for choice, before, after in pairs:
            assert after == (1.25 if choice.name.endswith("width") else before)
        assert chain.widest(wide) == wide


def test_rivals_read_and_give_the_same_shapes(chain_space: ChainSpace) -> None:
    chain = Chain(chain_space)
    for encoding in map(tuple, sample(chain_space, np.random.default_rng(2), 20).tolist()):
        path = chain.path(encoding)
        every = list(chain.rivals(path))
        assert [len(rivals) for rivals in (every[0], every[-1])] == [1, 1]
        for placed, rivals in zip(path, every, strict=True):
            assert placed in rivals
            assert {(each.x, each.op.out_shape(each.x)) for each in rivals} == {
                (placed.x, placed.op.out_shape(placed.x))
            }
        first = {(rival.op.name, rival.ordinal) for rival in every[1]}
        assert first == {("conv", 1), ("sepconv", 0), ("mbconv", 0)}


def test_positions_are_readable() -> None:
    searched = space("mnasnet-small", classes=10, image_size=16)
    path = Chain(searched).path((0,) * len(searched.choices))
    assert texts(path)[:3] == [(0, 0, "conv_c16_s2"), (0, 1, "conv_c16_skipidentity"), (1, 0, "conv_c24")]
