from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnas.errors import ConfigError, DataError
from mnas.evaluate.data import SearchData, Source, Split
from mnas.evaluate.data.splits import LARGEST_VALIDATION, cut, to_hold_out
from mnas.ir import Shape


def numbered(n: int, classes: int = 3, start: int = 0) -> Split:
    """Images that all differ: their four pixels spell their number."""
    numbers = np.arange(start, start + n, dtype=">u4")
    return Split(np.frombuffer(numbers.tobytes(), np.uint8).reshape(n, 1, 2, 2), np.arange(n) % classes)


def numbers(split: Split) -> set[bytes]:
    return {image.tobytes() for image in split.images}


@given(n=st.integers(5, 200), tests=st.integers(0, 20), seed=st.integers(0, 9))
def test_splits_are_disjoint_and_lose_nothing(n: int, tests: int, seed: int) -> None:
    test = numbered(tests, start=1000) if tests else None
    if n < 7 and test is None:
        n += 2
    data = cut("x", Source(numbered(n), test, ("a", "b", "c")), seed=seed)
    parts = [numbers(data.train), numbers(data.validation), numbers(data.test)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == n + tests
    assert min(map(len, parts)) >= 1
    if test:
        assert parts[2] == numbers(test)


def test_more_validation_images_than_usual_are_held_out() -> None:
    source = Source(numbered(LARGEST_VALIDATION + 2000))
    for wanted, held in ((10, 1120), (LARGEST_VALIDATION, 1120), (LARGEST_VALIDATION + 1, LARGEST_VALIDATION + 1)):
        data = cut("x", source, validation=to_hold_out(wanted))
        assert len(data.validation) == held
        assert not numbers(data.train) & numbers(data.validation)


def test_labels_stay_with_their_images() -> None:
    data = cut("x", Source(numbered(90)), seed=3)
    for split in (data.train, data.validation, data.test):
        spelled = split.images.reshape(len(split), 4).copy().view(">u4")[:, 0]
        assert (spelled % 3 == split.labels).all()


def test_seed_moves_validation_but_never_test() -> None:
    first, again, other = (cut("x", Source(numbered(100)), seed=seed) for seed in (0, 0, 1))
    assert numbers(first.validation) == numbers(again.validation)
    assert numbers(first.validation) != numbers(other.validation)
    assert numbers(first.test) == numbers(other.test)


def test_validation_is_a_fifth_up_to_the_largest() -> None:
    assert len(cut("x", Source(numbered(100), numbered(5))).validation) == 20
    big = Source(numbered(6 * LARGEST_VALIDATION), numbered(5))
    assert len(cut("x", big).validation) == LARGEST_VALIDATION
    assert len(cut("x", big, validation=7).validation) == 7


def test_mean_and_deviation_are_of_the_training_images() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 200, (50, 3, 4, 4)).astype(np.uint8)
    images[:, 2] = 51
    data = cut("x", Source(Split(images, np.zeros(50, np.int64))))
    pixels = data.train.images / 255
    np.testing.assert_allclose(data.mean, pixels.mean((0, 2, 3)))
    np.testing.assert_allclose(data.std[:2], pixels.std((0, 2, 3))[:2])
    assert data.std[2] == 1.0


def test_search_data_has_no_test_split() -> None:
    data = cut("x", Source(numbered(50)))
    seen = data.for_search()
    assert type(seen) is SearchData
    assert not hasattr(seen, "test")
    assert seen.train is data.train
    assert seen.validation is data.validation
    assert seen.shape == data.shape == Shape(1, 2, 2)
    everything = [getattr(seen, name) for name in SearchData.__slots__]
    assert all(numbers(data.test).isdisjoint(numbers(part)) for part in everything if isinstance(part, Split))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Source(numbered(4)), "too few"),
        (Source(numbered(20), None, ("a", "b")), r"labels must be in 0\.\.1, got 0\.\.2"),
        (Source(numbered(20), numbered(20, classes=5)), r"labels must be in 0\.\.2, got 0\.\.4"),
        (Source(Split(np.zeros((9, 1, 2, 2), np.uint8), np.full(9, -1))), "labels must be in"),
        (Source(numbered(20), Split(np.zeros((9, 1, 3, 2), np.uint8), np.zeros(9, np.int64))), "test images 1x3x2"),
    ],
)
def test_unfit_data_is_refused(source: Source, message: str) -> None:
    with pytest.raises(DataError, match=message):
        cut("x", source)


@pytest.mark.parametrize("validation", [0, 20, -1])
def test_validation_must_leave_something(validation: int) -> None:
    with pytest.raises(ConfigError, match="validation must be"):
        cut("x", Source(numbered(20), numbered(3)), validation=validation)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (np.zeros((3, 2, 2), np.uint8), np.zeros(3, np.int64)),
        (np.zeros((0, 1, 2, 2), np.uint8), np.zeros(0, np.int64)),
        (np.zeros((3, 1, 2, 2), np.float32), np.zeros(3, np.int64)),
        (np.zeros((3, 1, 2, 2), np.uint8), np.zeros(2, np.int64)),
        (np.zeros((3, 1, 2, 2), np.uint8), np.zeros(3, np.float32)),
    ],
)
def test_a_split_checks_its_arrays(images: np.ndarray, labels: np.ndarray) -> None:
    with pytest.raises(DataError):
        Split(images, labels)
