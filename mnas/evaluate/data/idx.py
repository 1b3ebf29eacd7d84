"""IDX, the file format of MNIST: two zero bytes, a type, the number of axes, big-endian sizes, then the values."""

from __future__ import annotations

import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnas.errors import DataError
from mnas.evaluate.data.splits import Source, Split

LARGEST_BYTES = 4 << 30
"""No file may unpack to more than this."""
_UBYTE = 8


def unpack(data: bytes, limit: int) -> bytes:
    """The content of `data`, unzipped if it is gzip.

    Raises:
        DataError: a damaged gzip stream, or more than `limit` bytes.
    """
    if data[:2] != b"\x1f\x8b":
        if len(data) > limit:
            raise DataError(f"holds {len(data)} bytes, more than the {limit} allowed")
        return data
    inflate = zlib.decompressobj(wbits=31)
    try:
        content = inflate.decompress(data, limit + 1)
    except zlib.error as error:
        raise DataError(f"is damaged gzip: {error}") from None
    if len(content) > limit:
        raise DataError(f"unpacks to more than the {limit} bytes allowed")
    if not inflate.eof:
        raise DataError("is cut short: its gzip stream has no end")
    return content


def parse_idx(content: bytes, axes: int) -> NDArray[np.uint8]:
    """Read an uncompressed IDX file of unsigned bytes with `axes` axes.

    Raises:
        DataError: another type or number of axes, or not as many values as the header says.
    """
    if content[:4] != bytes((0, 0, _UBYTE, axes)):
        raise DataError(f"is no IDX file of unsigned bytes with {axes} axes: it starts with {content[:4].hex(' ')!r}")
    start = 4 + 4 * axes
    sizes = [int.from_bytes(content[i : i + 4]) for i in range(4, start, 4)]
    if len(content) < start or len(content) != start + math.prod(sizes):
        raise DataError(f"holds {max(0, len(content) - start)} values, its header says {sizes}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(sizes)


def read_idx(folder: Path) -> Source:
    """Read `{train,t10k}-{images-idx3,labels-idx1}-ubyte`, each plain or with `.gz`; images are (n, h, w).

    Raises:
        DataError: a file is missing (the t10k pair may be), damaged or empty, or images and labels do not match.
    """
    learn = _pair(folder, "train")
    if learn is None:
        raise DataError(f"{folder} holds no train-images-idx3-ubyte or train-images-idx3-ubyte.gz")
    return Source(learn, _pair(folder, "t10k"))


def find(folder: Path, name: str) -> Path | None:
    """The file `name` of `folder`, plain or with `.gz`."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _pair(folder: Path, part: str) -> Split | None:
    images, labels = (find(folder, f"{part}-{name}-ubyte") for name in ("images-idx3", "labels-idx1"))
    if images is None and labels is None:
        return None
    if images is None or labels is None:
        raise DataError(f"{folder} holds only one of {part}-images-idx3-ubyte and {part}-labels-idx1-ubyte")
    try:
        return Split(_read(images, 3)[:, None], _read(labels, 1).astype(np.int64))
    except DataError as error:
        raise DataError(f"{folder}, {part} images: {error}") from None


def _read(path: Path, axes: int) -> NDArray[np.uint8]:
    try:
        return parse_idx(unpack(path.read_bytes(), LARGEST_BYTES), axes)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    except DataError as error:
        raise DataError(f"{path.name} {error}") from None
