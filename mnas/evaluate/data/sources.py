"""Data sets by name or by path."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from mnas.errors import DataError
from mnas.evaluate.data.idx import find, read_idx
from mnas.evaluate.data.npz import read_npz
from mnas.evaluate.data.splits import Dataset, Source, Split, cut
from mnas.registry import Registry

Loader = Callable[[Path | None], Source]
"""Reads a data set from a folder, or from where it usually is when given None."""
datasets: Registry[Loader] = Registry("data set", ("mnas.evaluate.data.sources",))

_DEBIAN = Path("/usr/share/datasets/fashion-mnist")
_CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def dataset(
    name_or_path: str | Path, *, folder: str | Path | None = None, seed: int = 0, validation: int | None = None
) -> Dataset:
    """Load a data set and cut it into splits.

    Args:
        name_or_path: a name of `datasets`; or an .npz file (see `read_npz`) or a folder of IDX files (see `read_idx`).
        folder: where the files of a named data set are, if not in their usual places.
        seed: draws the validation images.
        validation: number of validation images; 20 % up to 5,000 if not given.

    Raises:
        DataError: unknown, missing, empty or malformed.
        ConfigError: `validation` out of range.
    """
    name = str(name_or_path)
    if name in set(datasets):
        source = datasets[name](Path(folder) if folder is not None else None)
    else:
        path = Path(name_or_path).expanduser()
        source, name = _read(path), str(path.resolve())
    return cut(name, source, seed=seed, validation=validation)


def data_home() -> Path:
    """Where fetched data sets are kept: $MNAS_DATA, or mnas in the user's cache folder."""
    if home := os.environ.get("MNAS_DATA"):
        return Path(home).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "mnas"


def _read(path: Path) -> Source:
    if path.is_dir():
        return read_idx(path)
    if path.is_file():
        return read_npz(path)
    raise DataError(
        f"no data set {str(path)!r}: neither a known name ({', '.join(datasets)}), nor an .npz file, nor a folder of "
        "IDX files (train-images-idx3-ubyte, train-labels-idx1-ubyte, ...)"
    )


@datasets.register("fashion-mnist")
def _fashion_mnist(folder: Path | None) -> Source:
    """Fashion-MNIST (arXiv:1708.07747): 60,000 + 10,000 grey images 28x28 of 10 kinds of clothes, MIT licence."""
    places = [folder] if folder is not None else [data_home() / "fashion-mnist", _DEBIAN]
    for place in places:
        if find(place, "train-images-idx3-ubyte"):
            source = read_idx(place)
            if source.test is None:
                raise DataError(f"{place} lacks t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte of Fashion-MNIST")
            return replace(source, classes=_CLOTHES)
    raise DataError(
        f"Fashion-MNIST is not in {' or '.join(map(str, places))}. Get it by one of:\n"
        "  apt-get install dataset-fashion-mnist    (Debian, Ubuntu)\n"
        "  mnas data fetch fashion-mnist            (downloads 30 MB)\n"
        "  --data FOLDER                            (that holds train-images-idx3-ubyte.gz and its three companions)\n"
        "or use --data digits, which needs no files"
    )


@datasets.register("digits")
def _digits(_folder: Path | None) -> Source:
    """Handwritten digits of scikit-learn (UCI optdigits): 1,797 grey images 8x8 of 17 levels."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    return Source(Split(images[:, None], digits.target.astype(np.int64)), None, tuple("0123456789"))
