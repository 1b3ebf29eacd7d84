"""The NAS-Bench-201 cell as architectures, against its published parameter counts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnas.errors import ConfigError
from mnas.ir import Architecture, Shape, chain
from mnas.ops.cell import Classifier, ReluConvBn, Stem
from mnas.spaces import Encoding, EncodingSpace, size, space, spaces
from mnas.spaces.nasbench201 import OPS, NasBench201Space

NB201 = space("nasbench201")
encodings: st.SearchStrategy[Encoding] = st.tuples(*[st.integers(0, 4)] * 6)


def test_size() -> None:
    assert size(NB201) == 15625
    assert len(list(NB201.placements())) == 25


def test_published_costs() -> None:
    """The all-3x3 cell has 1.531546 M parameters and 220.12 M multiply-adds (NAS-Bench-201's own meta data)."""
    largest = NB201.decode((OPS.index("conv3x3"),) * 6)
    smallest = NB201.decode((OPS.index("none"),) * 6)
    assert largest.cost.params == 1_531_546
    assert round(largest.cost.macs / 1e6, 2) == 220.12
    assert smallest.cost.params == 73_306


def test_zeros_are_kept() -> None:
    cell = NB201.decode((0, 1, 1, 3, 2, 4))
    assert str(cell).count("zero") == 15
    assert str(cell.canonical()).count("zero") == 15
    others = {NB201.decode(e).canonical() for e in ((0, 1, 1, 3, 2, 4), (0, 1, 0, 3, 2, 4), (0, 1, 1, 3, 0, 4))}
    assert len(others) == 3


@given(encodings)
def test_networks_are_read_back(encoding: Encoding) -> None:
    assert isinstance(NB201, EncodingSpace)
    assert NB201.encode(NB201.decode(encoding)) == encoding
    assert NB201.encode(Architecture.parse(str(NB201.decode(encoding)))) == encoding


@given(encodings, st.integers(1, 2), st.sampled_from([4, 16]))
def test_networks_of_other_sizes_are_read_back(encoding: Encoding, cells: int, c: int) -> None:
    other = NasBench201Space("other", Shape(1, 8, 8), 7, c=c, cells=cells)
    assert other.encode(other.decode(encoding)) == encoding


def test_what_the_space_does_not_decode_is_refused() -> None:
    assert isinstance(NB201, EncodingSpace)
    cell = (3, 1, 0, 2, 4, 0)
    network = NB201.decode(cell)
    altered = list(network.nodes)
    at = next(i for i, node in enumerate(altered) if i > 20 and node.op == ReluConvBn(16, 3, 3))
    altered[at] = replace(altered[at], op=ReluConvBn(16, 1, 1))
    wrong = (
        network.canonical(),  # without what nobody reads
        Architecture(network.x, tuple(altered)),  # two cells differ
        Architecture(network.x, network.nodes[:-1]),
        space("nasbench201", classes=7).decode(cell),
        space("nasbench201", image_size=16).decode(cell),
        chain(Shape(3, 32, 32), (Stem(16), Classifier(10, "norm"))),
        space("mnasnet-small").decode((0,) * 20),
    )
    for each in wrong:
        with pytest.raises(ConfigError, match="not a network of space nasbench201, as it decodes it: input"):
            NB201.encode(each)


def test_other_spaces_do_not_claim_to() -> None:
    made = [space(name) for name in spaces if name != "primitives"]
    assert [each.name for each in made if isinstance(each, EncodingSpace)] == [
        "darts", "darts-imagenet", "darts-small", "nasbench201",
    ]  # fmt: skip
