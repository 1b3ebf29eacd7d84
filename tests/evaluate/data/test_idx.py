from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnas.errors import DataError
from mnas.evaluate.data.idx import parse_idx, read_idx, unpack


def idx(array: np.ndarray) -> bytes:
    head = bytes((0, 0, 8, array.ndim)) + b"".join(size.to_bytes(4, "big") for size in array.shape)
    return head + array.astype(np.uint8).tobytes()


def write(folder: Path, part: str, images: np.ndarray, labels: np.ndarray, *, zipped: bool = False) -> None:
    for name, array in (("images-idx3", images), ("labels-idx1", labels)):
        data = gzip.compress(idx(array)) if zipped else idx(array)
        (folder / f"{part}-{name}-ubyte{'.gz' if zipped else ''}").write_bytes(data)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4), st.booleans())
def test_arrays_are_read_back(shape: list[int], zipped: bool) -> None:
    array = np.arange(math.prod(shape), dtype=np.uint8).reshape(shape)
    data = gzip.compress(idx(array)) if zipped else idx(array)
    np.testing.assert_array_equal(parse_idx(unpack(data, 1 << 20), array.ndim), array)


@given(st.binary(max_size=60), st.sampled_from((1, 3)), st.booleans())
def test_no_bytes_do_more_than_data_error(junk: bytes, axes: int, headed: bool) -> None:
    data = bytes((0, 0, 8, axes)) + junk if headed else junk
    try:
        found = parse_idx(unpack(data, 1000), axes)
    except DataError:
        return
    assert idx(found) == data


@given(st.data())
def test_every_cut_of_a_good_file_is_refused(data: st.DataObject) -> None:
    whole = idx(np.arange(24).reshape(2, 3, 4))
    for content in (whole, gzip.compress(whole)):
        part = content[: data.draw(st.integers(0, len(content) - 1))]
        with pytest.raises(DataError):
            parse_idx(unpack(part, 1000), 3)


def test_a_bomb_is_not_unpacked() -> None:
    with pytest.raises(DataError, match="more than the 1000 bytes"):
        unpack(gzip.compress(bytes(1 << 24)), 1000)


@pytest.mark.parametrize("zipped", [False, True])
def test_a_folder_is_read(tmp_path: Path, zipped: bool) -> None:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (6, 4, 5)), np.arange(6) % 3
    write(tmp_path, "train", images, labels, zipped=zipped)
    source = read_idx(tmp_path)
    assert source.test is None
    np.testing.assert_array_equal(source.learn.images, images[:, None])
    np.testing.assert_array_equal(source.learn.labels, labels)
    write(tmp_path, "t10k", images[:2], labels[:2], zipped=zipped)
    test = read_idx(tmp_path).test
    assert test is not None
    np.testing.assert_array_equal(test.images, images[:2, None])


def test_problems_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no train-images-idx3-ubyte"):
        read_idx(tmp_path)
    images, labels = np.zeros((4, 2, 2)), np.zeros(4)
    write(tmp_path, "train", images, labels[:3])
    with pytest.raises(DataError, match="4 images need as many"):
        read_idx(tmp_path)
    write(tmp_path, "train", images[:0], labels[:0])
    with pytest.raises(DataError, match=r"images must be .*\(0, 1, 2, 2\)"):
        read_idx(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(b"no labels")
    with pytest.raises(DataError, match="train-labels-idx1-ubyte is no IDX file"):
        read_idx(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="only one of"):
        read_idx(tmp_path)
