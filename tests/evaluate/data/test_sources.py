from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from mnas.errors import ConfigError, DataError
from mnas.evaluate.data import data_home, dataset, datasets, sources
from mnas.ir import Shape


def write_clothes(folder: Path, n: int = 20, *, largest: int = 9) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "t10k"):
        sizes = b"".join(size.to_bytes(4, "big") for size in (n, 28, 28))
        pixels = gzip.compress(b"\0\0\x08\x03" + sizes + bytes(n * 784))
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(pixels)
        labels = b"\0\0\x08\x01" + n.to_bytes(4, "big") + bytes(i % (largest + 1) for i in range(n))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(labels)


def test_digits_need_no_files() -> None:
    data = dataset("digits", seed=1)
    assert data.shape == Shape(1, 8, 8)
    assert (len(data.train), len(data.validation), len(data.test)) == (1151, 287, 359)
    assert data.classes == tuple("0123456789")
    assert data.train.images.max() == 255
    assert set(data.test.labels) == set(range(10))
    assert data.name == "digits"


def test_known_names() -> None:
    assert {"digits", "fashion-mnist"} <= set(datasets)


def test_data_home_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MNAS_DATA", str(tmp_path / "a"))
    assert data_home() == tmp_path / "a"
    monkeypatch.delenv("MNAS_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert data_home() == tmp_path / "b" / "mnas"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert data_home() == Path.home() / ".cache" / "mnas"


def test_fashion_mnist_is_found_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given, home, debian = tmp_path / "given", tmp_path / "home", tmp_path / "debian"
    monkeypatch.setenv("MNAS_DATA", str(home))
    monkeypatch.setattr(sources, "_DEBIAN", debian)
    write_clothes(debian, 30)
    assert len(dataset("fashion-mnist").test) == 30
    write_clothes(home / "fashion-mnist", 40)
    assert len(dataset("fashion-mnist").test) == 40
    write_clothes(given, 50)
    data = dataset("fashion-mnist", folder=given)
    assert (len(data.train), len(data.validation), len(data.test)) == (40, 10, 50)
    assert data.classes[9] == "Ankle boot"


def test_missing_fashion_mnist_names_every_way(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MNAS_DATA", str(tmp_path))
    monkeypatch.setattr(sources, "_DEBIAN", tmp_path / "debian")
    with pytest.raises(DataError) as caught:
        dataset("fashion-mnist")
    ways = ("apt-get install dataset-fashion-mnist", "mnas data fetch fashion-mnist", "--data FOLDER", "--data digits")
    assert all(way in str(caught.value) for way in ways)
    assert str(tmp_path) in str(caught.value)


def test_damaged_fashion_mnist_is_refused(tmp_path: Path) -> None:
    write_clothes(tmp_path, largest=10)
    with pytest.raises(DataError, match=r"labels must be in 0\.\.9, got 0\.\.10"):
        dataset("fashion-mnist", folder=tmp_path)
    for part in ("images-idx3-ubyte.gz", "labels-idx1-ubyte"):
        (tmp_path / f"t10k-{part}").unlink()
    with pytest.raises(DataError, match="lacks t10k-images"):
        dataset("fashion-mnist", folder=tmp_path)


def test_the_users_own_files(tmp_path: Path) -> None:
    np.savez(tmp_path / "own.npz", x=np.zeros((20, 4, 4), np.uint8), y=np.arange(20) % 4)
    data = dataset(tmp_path / "own.npz", validation=3)
    assert len(data.validation) == 3
    assert data.classes == ("0", "1", "2", "3")
    assert len(dataset(data.name).train) == 13  # its name finds it again
    write_clothes(tmp_path / "idx", largest=1)
    assert dataset(str(tmp_path / "idx")).classes == ("0", "1")


def test_nonsense_is_explained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither a known name \(digits, fashion-mnist.*nor an \.npz"):
        dataset("cifar-1000")
    with pytest.raises(DataError, match="holds no train-images"):
        dataset(tmp_path)
    with pytest.raises(ConfigError, match="validation must be"):
        dataset("digits", validation=5000)


@pytest.mark.slow
def test_the_real_fashion_mnist() -> None:
    try:
        data = dataset("fashion-mnist")
    except DataError as error:
        pytest.skip(str(error))
    assert (len(data.train), len(data.validation), len(data.test)) == (55000, 5000, 10000)
    assert data.mean == pytest.approx([0.2860], abs=5e-4)
    assert data.std == pytest.approx([0.3530], abs=5e-4)
    assert np.bincount(data.test.labels).tolist() == [1000] * 10
