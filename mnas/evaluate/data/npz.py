"""The user's own arrays in a NumPy .npz file. Object arrays are refused: reading one would run its pickle."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnas.errors import DataError
from mnas.evaluate.data.idx import LARGEST_BYTES
from mnas.evaluate.data.splits import Source, Split

_KEYS = (("x_train", "y_train"), ("x", "y"), ("images", "labels"))
_MOST_CLASSES = 65536
Array = NDArray[Any]


def read_npz(path: Path) -> Source:
    """Read images and labels from `path`.

    Keys are `x_train, y_train` (and `x_test, y_test`), or `x, y`, or `images, labels`; optional `classes` names the
    labels. Images are (n, h, w), (n, h, w, c) or (n, c, h, w) with 1 or 3 channels: whole numbers 0..255, or floats
    that are 0..1 or 0..255 throughout.

    Raises:
        DataError: unreadable, a key is missing, or arrays of other types, shapes or ranges.
    """
    try:
        return source_of(load_arrays(path))
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def source_of(arrays: Mapping[str, Array]) -> Source:
    """Check arrays that follow `read_npz` and bring them to the form of a `Split`.

    Raises:
        DataError: as `read_npz`.
    """
    keys = next((pair for pair in _KEYS if set(pair) <= arrays.keys()), None)
    if keys is None:
        raise DataError(
            f"needs arrays x and y, images and labels, or x_train and y_train; holds {', '.join(arrays) or 'none'}"
        )
    pairs = [keys]
    if keys == _KEYS[0] and {"x_test", "y_test"} & arrays.keys():
        pairs.append(("x_test", "y_test"))
    absent = [key for pair in pairs for key in pair if key not in arrays]
    if absent:
        raise DataError(f"lacks {', '.join(absent)}")
    images = _pixels([(x, arrays[x]) for x, _ in pairs])
    splits = [Split(_channels_first(x, im), _labels(y, arrays[y])) for (x, y), im in zip(pairs, images, strict=True)]
    names = tuple(str(name) for name in arrays["classes"].ravel()) if "classes" in arrays else None
    return Source(splits[0], splits[1] if len(splits) > 1 else None, names or None)


def load_arrays(path: Path) -> dict[str, Array]:
    """Read the arrays of an .npz file; DataError where it is damaged, too large or holds objects."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            if unpacked > LARGEST_BYTES:
                raise DataError(f"unpacks to {unpacked} bytes, more than the {LARGEST_BYTES} allowed")
        with np.load(path, allow_pickle=False) as file:
            loaded = {str(key): file[key] for key in file.files}
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}") from None
    except (ValueError, EOFError, KeyError, MemoryError, NotImplementedError, RuntimeError, SyntaxError) as error:
        raise DataError(f"is no readable .npz without object arrays: {error}") from None
    except (zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"is no .npz file: {error}") from None
    return {key: value for key, value in loaded.items() if isinstance(value, np.ndarray)}


def _labels(key: str, labels: Array) -> NDArray[np.int64]:
    flat = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if flat.ndim != 1 or flat.dtype.kind not in "iu":
        raise DataError(f"{key} must be whole numbers (n,), got {labels.dtype} {labels.shape}")
    if flat.size and not 0 <= int(flat.min()) <= int(flat.max()) < _MOST_CLASSES:
        raise DataError(f"{key} must be in 0..{_MOST_CLASSES - 1}, got {flat.min()}..{flat.max()}")
    return flat.astype(np.int64)


def _pixels(named: Sequence[tuple[str, Array]]) -> list[NDArray[np.uint8]]:
    """Arrays as uint8; floats are scaled by 255 where all of all arrays lie in 0..1."""
    tops = []
    for key, array in named:
        if array.dtype.kind not in "iuf" or not array.size:
            raise DataError(f"{key} must hold numbers, got {array.dtype} {array.shape}")
        low, top = float(array.min()), float(array.max())
        if not 0 <= low <= top <= 255:
            raise DataError(f"{key} must be in 0..1 or 0..255, got {low:g}..{top:g}")
        tops.append(top if array.dtype.kind == "f" else 255.0)
    scale = 255.0 if max(tops) <= 1 else 1.0
    return [
        np.rint(array * scale).astype(np.uint8) if array.dtype.kind == "f" else array.astype(np.uint8)
        for _, array in named
    ]


def _channels_first(key: str, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if images.ndim == 3:
        return images[:, None]
    if images.ndim == 4 and images.shape[3] in (1, 3):
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    if images.ndim == 4 and images.shape[1] in (1, 3):
        return images
    raise DataError(f"{key} must be (n, h, w), (n, h, w, c) or (n, c, h, w) with 1 or 3 channels, got {images.shape}")
