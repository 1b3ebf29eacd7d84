"""DARTS's cells: published networks, and encoding <-> genotype <-> architecture."""

from __future__ import annotations

import numpy as np
import pytest

from mnas.errors import ConfigError
from mnas.ir import Architecture, Shape
from mnas.spaces import EncodingSpace, sample, size, space
from mnas.spaces.darts import DartsSpace
from mnas.spaces.genotype import (
    DARTS_V1,
    DARTS_V2,
    IMAGENET,
    OPS,
    Edges,
    Genotype,
    Stack,
    edge,
    genotype_of,
    network,
)
from mnas.spaces.reference import reference

SMALL = DartsSpace("small", Shape(1, 12, 12), 5, Stack(4, 4, "strided"), Stack(2, 3))


def in_order(genotype: Genotype) -> Genotype:
    """The same cells, the edge of the earlier value first: a sum has no order."""

    def cell(edges: Edges) -> Edges:
        pairs = zip(edges[::2], edges[1::2], strict=True)
        return tuple(edge for pair in pairs for edge in sorted(pair, key=lambda edge: edge[1]))

    return Genotype(*map(cell, genotype))


@pytest.mark.parametrize("genotype", [DARTS_V1, DARTS_V2])
def test_published_cells_are_in_the_space(genotype: Genotype) -> None:
    cifar = space("darts")
    assert isinstance(cifar, DartsSpace)
    encoding = cifar.encoding(genotype)
    assert cifar.genotype(encoding) == in_order(genotype)
    published = reference("darts-v1" if genotype == DARTS_V1 else "darts-v2")
    assert cifar.decode(encoding) == network(in_order(genotype), x=cifar.x, classes=10)
    assert cifar.decode(encoding).cost == published.cost
    assert cifar.encode(published) == encoding
    assert genotype_of(published) == in_order(genotype)


def test_published_sizes() -> None:
    assert reference("darts-v1").cost.params == 3_169_414
    assert reference("darts-v2").cost.params == 3_349_342
    imagenet = reference("darts-v2-imagenet")
    assert round(imagenet.cost.params / 1e6, 3) == 4.719
    assert imagenet == network(DARTS_V2, IMAGENET, x=Shape(3, 224, 224), classes=1000)
    large = space("darts-imagenet")
    assert isinstance(large, EncodingSpace)
    assert large.decode(large.encode(imagenet)).cost == imagenet.cost


def test_size() -> None:
    assert size(space("darts")) == (1 * 3 * 6 * 10 * 7**8) ** 2
    assert len(list(space("darts-small").placements())) == 51


def test_networks_are_read_back_in_any_spelling() -> None:
    for encoding in map(tuple, sample(SMALL, np.random.default_rng(0), 60).tolist()):
        architecture = SMALL.decode(encoding)
        for spelling in (architecture, architecture.canonical(), Architecture.parse(str(architecture))):
            assert SMALL.encode(spelling) == encoding
        assert genotype_of(architecture) == SMALL.genotype(encoding)


def test_a_network_of_reductions_tells_nothing_of_the_normal_cell() -> None:
    both = DartsSpace("both", Shape(1, 8, 8), 3, Stack(4, 2), Stack(4, 2))
    encoding = both.encoding(DARTS_V2)
    found = both.encode(both.decode(encoding))
    assert found[12:] == encoding[12:]
    assert genotype_of(both.decode(encoding)).normal == ()


def test_other_networks_are_refused() -> None:
    for other in (reference("mobilenet-v2"), reference("nasnet-a-cifar"), space("nasbench201").decode((1,) * 6)):
        with pytest.raises(ConfigError, match="not a network of"):
            SMALL.encode(other)
    with pytest.raises(ConfigError, match="another stack"):
        SMALL.encode(reference("darts-v2"))


@pytest.mark.parametrize(
    "edges",
    [
        DARTS_V2.normal[:6],
        (("sep_conv_3x3", 0), ("skip_connect", 0), *DARTS_V2.normal[2:]),
        (("none", 0), *DARTS_V2.normal[1:]),
        (("conv", 0), *DARTS_V2.normal[1:]),
        (("sep_conv_3x3", 2), *DARTS_V2.normal[1:]),
    ],
)
def test_cells_that_are_not_of_the_space(edges: Edges) -> None:
    with pytest.raises(ConfigError, match="cell"):
        SMALL.encoding(Genotype(edges, DARTS_V2.reduce))


def test_unknown_ops_and_sizes() -> None:
    with pytest.raises(ConfigError, match="no edge op 'conv' in a genotype; known: none, max_pool_3x3"):
        network(Genotype((("conv", 0), ("none", 1)), ()), x=Shape(3, 8, 8), classes=2)
    with pytest.raises(ConfigError, match=r"node 0 of a cell reads values 0\.\.1, not"):
        network(Genotype((("none", 0), ("none", 2)), ()), x=Shape(3, 8, 8), classes=2)
    with pytest.raises(ConfigError, match="at least 2 channels and 1 cell, got 1 and 0"):
        Stack(1, 0)
    with pytest.raises(ConfigError, match="image_size must be at least 8"):
        space("darts", image_size=4)


@pytest.mark.parametrize("op", ["sep", "sep_conv_x", "max_pool_5x5", "skip_foo", "dil_conv_3x5", ""])
def test_ops_of_edges_are_taken_at_their_word(op: str) -> None:
    with pytest.raises(ConfigError, match=r"no edge op .* known: none, "):
        edge(op, 8, 1)


@pytest.mark.parametrize("edges", [(("skip_connect", 0),), (("skip_connect", -1), ("skip_connect", 0))])
def test_cells_that_cannot_be_stacked(edges: Edges) -> None:
    with pytest.raises(ConfigError, match=r"two edges each|reads values 0"):
        network(Genotype(edges, edges), x=Shape(3, 32, 32), classes=10)


def test_other_networks_have_no_genotype() -> None:
    for name in ("mnasnet-small", "nasbench201"):
        other = space(name)
        with pytest.raises(ConfigError, match="not a network of DARTS cells"):
            genotype_of(other.decode((1,) * len(other.choices)))


def test_images_that_are_too_small_for_the_stem() -> None:
    with pytest.raises(ConfigError, match="image_size must be at least 17 pixels"):
        space("darts-imagenet", image_size=16)
    small = space("darts-imagenet", image_size=17)
    (encoding,) = sample(small, np.random.default_rng(0), 1).tolist()
    assert small.decode(tuple(encoding)).y == Shape(1000, 1, 1)


def test_the_two_strongest_edges_are_kept_with_their_strongest_op_but_none() -> None:
    """As the published code does it, on random weights."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        weights = rng.dirichlet(np.ones(len(OPS)), size=28)
        cells = []
        for cell in (weights[:14], weights[14:]):
            edges: list[tuple[str, int]] = []
            start = 0
            for values in range(2, 6):
                rows = cell[start : start + values]
                start += values
                kept = sorted(range(values), key=lambda value: -rows[value, 1:].max())[:2]
                edges += [(OPS[1 + rows[value, 1:].argmax()], value) for value in kept]
            cells.append(tuple(edges))
        assert SMALL.genotype(SMALL.discretise(list(weights))) == in_order(Genotype(*cells))


def test_share_of_identities() -> None:
    assert SMALL.identity_share(SMALL.encoding(DARTS_V2)) == 5 / 16
    skips = tuple(("skip_connect", value % 2) for value in range(8))
    assert SMALL.identity_share(SMALL.encoding(Genotype(skips, skips))) == 1
