from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnas.errors import DataError
from mnas.evaluate.data.npz import read_npz, source_of

N = 7


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (N, *shape)).astype(np.uint8)


LABELS = np.arange(N) % 3


@given(
    keys=st.sampled_from((("x", "y"), ("images", "labels"), ("x_train", "y_train"))),
    layout=st.sampled_from(("hw", "hwc", "chw")),
    c=st.sampled_from((1, 3)),
    form=st.sampled_from(("uint8", "int64", "unit", "byte")),
)
def test_every_layout_and_type_means_the_same(keys: tuple[str, str], layout: str, c: int, form: str) -> None:
    c = 1 if layout == "hw" else c
    truth = images(c, 5, 6)
    given_ = {"hw": truth[:, 0], "hwc": truth.transpose(0, 2, 3, 1), "chw": truth}[layout]
    typed = {
        "uint8": given_,
        "int64": given_.astype(np.int64),
        "unit": given_.astype(np.float32) / 255,
        "byte": given_.astype(np.float64),
    }[form]
    source = source_of({keys[0]: typed, keys[1]: LABELS.astype(np.int16)})
    np.testing.assert_array_equal(source.learn.images, truth)
    np.testing.assert_array_equal(source.learn.labels, LABELS)
    assert source.test is None


def test_train_and_test_arrays_are_scaled_alike(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    train, test = images(4, 4) / 255.0, images(4, 4) / 510.0
    np.savez(
        path, x_train=train, y_train=LABELS[:, None], x_test=test, y_test=LABELS, classes=np.array(["a", "b", "c"])
    )
    source = read_npz(path)
    assert source.classes == ("a", "b", "c")
    assert source.test is not None
    np.testing.assert_array_equal(source.test.images[:, 0], np.rint(test * 255))
    dark = source_of({"x_train": train * 255, "y_train": LABELS, "x_test": train, "y_test": LABELS})
    assert dark.test is not None
    assert dark.test.images.max() == 1


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "holds none"),
        ({"x": images(2, 2)}, "needs arrays x and y"),
        ({"x_train": images(2, 2), "y_train": LABELS, "x_test": images(2, 2)}, "lacks y_test"),
        ({"x": images(2, 2), "y": LABELS[:3]}, "as many"),
        ({"x": images(2, 2), "y": LABELS / 2}, "y must be whole numbers"),
        ({"x": images(2, 2), "y": LABELS - 1}, r"y must be in 0\.\.65535, got -1"),
        ({"x": images(2, 2), "y": np.full(N, 1 << 40)}, "y must be in"),
        ({"x": images(2, 2)[:0], "y": LABELS[:0]}, "x must hold numbers"),
        ({"x": np.full((N, 2, 2), 255.5), "y": LABELS}, r"x must be in 0\.\.1 or 0\.\.255"),
        ({"x": images(2, 2) - 1.0, "y": LABELS}, "x must be in"),
        ({"x": np.full((N, 2, 2), np.nan), "y": LABELS}, "x must be in"),
        ({"x": images(2, 2).astype(str), "y": LABELS}, "x must hold numbers"),
        ({"x": images(2, 2).astype(complex), "y": LABELS}, "x must hold numbers"),
        ({"x": images(4, 5, 6), "y": LABELS}, "1 or 3 channels"),
        ({"x": images(4), "y": LABELS}, "1 or 3 channels"),
    ],
)
def test_unfit_arrays_are_refused(arrays: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(DataError, match=message):
        source_of(arrays)


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    path = tmp_path / "own.npz"
    objects = np.empty(1, object)
    objects[0] = Trap()
    np.savez(path, x=objects, y=LABELS)
    with pytest.raises(DataError, match="object arrays"):
        read_npz(path)
    assert not (tmp_path / "sprung").exists()


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.npz"
    with pytest.raises(DataError, match="cannot be read"):
        read_npz(path)
    path.write_bytes(b"not a zip")
    with pytest.raises(DataError, match=r"no \.npz file"):
        read_npz(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_a_data_error_or_harmless(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "own.npz"
    np.savez(path, x=images(2, 2), y=LABELS)
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole[: data.draw(st.sampled_from((len(whole), len(whole) // 2)))])
    with contextlib.suppress(DataError):
        assert read_npz(path).learn.images.dtype == np.uint8
