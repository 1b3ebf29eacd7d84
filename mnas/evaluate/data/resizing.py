"""Bringing a data set to the input shape of a network."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mnas.errors import DataError
from mnas.evaluate.data.idx import LARGEST_BYTES
from mnas.evaluate.data.splits import Dataset, SearchData, Split
from mnas.ir import Shape

D = TypeVar("D", Dataset, SearchData)
_CHUNK = 1024


def adapt(data: D, x: Shape) -> D:
    """The same data set with images of shape `x`; grey images are repeated over the channels.

    Sizes change by bilinear interpolation, over all the pixels that a smaller image covers, as `resize` says. Mean and
    deviation stay those of the original images. The last few results are kept.

    Raises:
        DataError: other channels than from 1 to more, or images that would take more than 4 GiB.
    """
    if data.shape == x:
        return data
    c = data.shape.c
    if c not in (1, x.c):
        raise DataError(f"images of {data.name} are {data.shape}, the network reads {x}: {c} channels do not fit")
    held = [data.train, data.validation] + ([data.test] if isinstance(data, Dataset) else [])
    bytes_needed = sum(map(len, held)) * c * x.h * x.w
    if bytes_needed > LARGEST_BYTES:
        raise DataError(
            f"{data.name} at {x} takes {bytes_needed / 2**30:.1f} GiB of memory; search at a smaller image size"
        )
    changed = replace(
        data,
        train=_adapted(data.train, x),
        validation=_adapted(data.validation, x),
        mean=data.mean * (x.c // c),
        std=data.std * (x.c // c),
    )
    return replace(changed, test=_adapted(changed.test, x)) if isinstance(changed, Dataset) else changed


@lru_cache(maxsize=12)
def _adapted(split: Split, x: Shape) -> Split:
    images = resize(split.images, x.h, x.w)
    return Split(np.broadcast_to(images, (len(split), *x)), split.labels)


def resize(images: NDArray[np.uint8], h: int, w: int) -> NDArray[np.uint8]:
    """Resize (n, c, H, W) to (n, c, h, w) by a triangle filter on pixel centres, rounded.

    Enlarging is plain bilinear interpolation (torch's `align_corners=False`); shrinking widens the filter by the
    ratio, so that no pixel is skipped (`antialias=True`).
    """
    if images.shape[2:] == (h, w):
        return images
    rows, columns = _filter(images.shape[2], h), _filter(images.shape[3], w)
    out = np.empty((*images.shape[:2], h, w), np.uint8)
    for i in range(0, len(images), _CHUNK):
        out[i : i + _CHUNK] = np.rint(rows @ images[i : i + _CHUNK].astype(np.float32) @ columns.T)
    return out


def _filter(before: int, after: int) -> NDArray[np.float32]:
    """Weights (after, before) of the old pixels in the new ones; rows sum to 1."""
    ratio = before / after
    centres = ((np.arange(after) + 0.5) * ratio - 0.5).clip(0, before - 1)
    distance = np.abs(centres[:, None] - np.arange(before))
    weights = np.maximum(0, 1 - distance / max(1.0, ratio))
    filters: NDArray[np.float32] = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    return filters
