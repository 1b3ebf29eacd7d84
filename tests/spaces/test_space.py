"""What holds of every registered space; a new space is covered without a line here."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnas.errors import ConfigError, UnknownNameError
from mnas.ir import Architecture
from mnas.spaces import (
    GrowingSpace,
    SearchSpace,
    active,
    arity,
    mutate,
    pruned,
    sample,
    sample_biased,
    size,
    space,
    spaces,
    values,
)

ALL = [space(name) for name in spaces if name != "primitives"]  # which is made from a model, and has pieces
by_name = pytest.mark.parametrize("each", ALL, ids=lambda s: s.name)


@by_name
def test_table_rows_cover_every_network(each: SearchSpace) -> None:
    rows = list(each.placements())
    assert len(set(rows)) == len(rows)
    rng, n = np.random.default_rng(0), max(60, len(rows) // 6)
    used = set()
    for encoding in np.concatenate([sample(each, rng, n), sample_biased(each, rng, n)]).tolist():
        architecture = each.decode(tuple(encoding))
        assert set(architecture.placements) <= set(rows)
        assert architecture.y.c == each.classes
        assert architecture.x == each.x
        used |= set(architecture.placements)
    assert len(used) > len(rows) / 3


@by_name
def test_samples_are_encodings_and_cover_all_options(each: SearchSpace) -> None:
    for draw in (sample, sample_biased):
        drawn = draw(each, np.random.default_rng(1), 2000)
        assert drawn.shape == (2000, len(each.choices))
        assert (drawn.min(0) == 0).all()
        assert (drawn.max(0) == arity(each) - 1).all()
        assert (drawn == draw(each, np.random.default_rng(1), 2000)).all()


def test_biased_samples_spread_wider() -> None:
    each, rng = space("mnasnet-small"), np.random.default_rng(2)
    spread = [
        np.std([each.decode(tuple(e)).cost.macs for e in draw(each, rng, 100).tolist()])
        for draw in (sample, sample_biased)
    ]
    assert spread[1] > 1.3 * spread[0]


@by_name
@settings(max_examples=30)
@given(seed=st.integers(0, 2**31))
def test_mutation_changes_one_active_choice(each: SearchSpace, seed: int) -> None:
    rng = np.random.default_rng(seed)
    parent = tuple(sample(each, rng, 1)[0].tolist())
    child = mutate(each, parent, rng)
    both = active(each, np.array([parent, child]))
    assert (np.not_equal(parent, child) & both.all(0)).sum() == 1
    assert not np.array(child)[~both[1]].any()
    values(each, child)


@by_name
def test_encodings_of_another_space_are_refused(each: SearchSpace) -> None:
    n = len(each.choices)
    for bad in ((0,) * (n - 1), (0,) * (n + 1), (99,) + (0,) * (n - 1), (-1,) + (0,) * (n - 1)):
        with pytest.raises(ConfigError):
            each.decode(bad)


@by_name
def test_inactive_choices_are_zero_and_ignored(each: SearchSpace) -> None:
    rng = np.random.default_rng(3)
    raw = rng.integers(0, arity(each), size=(50, len(each.choices)))
    clean = pruned(each, raw)
    assert (active(each, clean) == active(each, raw)).all()
    assert (pruned(each, clean) == clean).all()
    assert [each.decode(tuple(e)) for e in clean.tolist()] == [each.decode(tuple(e)) for e in raw.tolist()]


@by_name
def test_options_open_in_order_until_all_are(each: SearchSpace) -> None:
    if isinstance(each, GrowingSpace):
        opened = [each.open_options(samples) for samples in (0, 1, 10, 100, 1000, 10**6)]
        assert (opened[0] >= 1).all()
        assert (np.diff(opened, axis=0) >= 0).all()
        assert (opened[0] < arity(each)).any()
        assert (opened[-1] == arity(each)).all()


def test_unknown_names_and_bad_sizes() -> None:
    with pytest.raises(
        UnknownNameError, match=r"unknown search space 'foo'; known: darts, darts-imagenet, darts-small, mnasnet"
    ):
        space("foo")
    with pytest.raises(ConfigError, match="classes"):
        space("mnasnet-small", classes=0)
    with pytest.raises(ConfigError, match="image_size"):
        space("mnasnet-small", image_size=4)


def test_sizes_given_by_the_user() -> None:
    small = space("mnasnet-small", classes=7, image_size=32, channels=3)
    architecture = small.decode((0,) * len(small.choices))
    assert str(architecture.x) == "3x32x32"
    assert architecture.y.c == 7
    assert size(small) == 144**4


def test_architectures_equal_across_sizes_of_choice_are_equal() -> None:
    """Encodings that differ only where the network does not are one architecture: one entry of every cache."""
    small = space("mnasnet-small")
    names = [choice.name for choice in small.choices]
    base = [0] * len(names)  # block0: a convolution
    other = list(base)
    other[names.index("stage0.se")] = 1
    assert small.decode(tuple(base)) == small.decode(tuple(other))
    shallow = list(base)
    shallow[names.index("stage0.depth")] = 1  # -1 and 0 at one layer
    assert small.decode(tuple(base)) == small.decode(tuple(shallow))
    assert isinstance(small.decode(tuple(base)), Architecture)
