"""Does a file compute what was trained? Parity on real images, and what the file is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnas.deploy.inference import Images, Logits, logits
from mnas.errors import CheckError
from mnas.lower import Format, operators

MAX_RELATIVE_DIFF = 1e-3
"""Largest difference of a float32 file's logits from torch's, relative to the largest logit, that passes."""
MIN_AGREEMENT = 0.995
"""Smallest share of images on which a float32 file and torch name the same class."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found in one file.

    Attributes:
        operators: how often each operator occurs.
        pad: number of PAD operators.
        transpose: number of TRANSPOSE operators.
        max_abs_diff: largest difference of a logit from torch's.
        scale: largest absolute logit of torch's.
        top1_agreement: share of images on which both name the same class.
        accuracy: top-1 accuracy of the file on these images; None without labels.
        images: how many images were run.
    """

    operators: dict[str, int]
    pad: int
    transpose: int
    max_abs_diff: float
    scale: float
    top1_agreement: float
    accuracy: float | None
    images: int


def verify(
    model: bytes,
    format: Format,  # noqa: A002
    images: Images,
    reference: Logits,
    labels: NDArray[np.int64] | None,
) -> Verification:
    """Run a file over `images` (n, C, H, W) and compare with `reference` logits (n, classes).

    Raises:
        CheckError: the file differs from what was trained, or holds a TRANSPOSE.
    """
    histogram = operators(model, format)
    out = logits(model, format, images)
    scale = float(np.abs(reference).max())
    found = Verification(
        operators=histogram,
        pad=sum(n for name, n in histogram.items() if name.upper().startswith("PAD")),
        transpose=sum(n for name, n in histogram.items() if name.upper() == "TRANSPOSE"),
        max_abs_diff=float(np.abs(out - reference).max()),
        scale=scale,
        top1_agreement=float((out.argmax(1) == reference.argmax(1)).mean()),
        accuracy=None if labels is None else float((out.argmax(1) == labels).mean()),
        images=len(images),
    )
    _check(found, format)
    return found


def _check(found: Verification, format: Format) -> None:  # noqa: A002
    if found.transpose:
        raise CheckError(f"the {format} file holds TRANSPOSE operators: {found.operators}")
    differs = not found.max_abs_diff <= MAX_RELATIVE_DIFF * found.scale
    if differs or found.top1_agreement < MIN_AGREEMENT:
        raise CheckError(
            f"the {format} file does not compute what was trained: on {found.images} images its logits differ by up "
            f"to {found.max_abs_diff:.3g} (allowed {MAX_RELATIVE_DIFF * found.scale:.3g}) and it names the same class "
            f"on {found.top1_agreement:.2%} (at least {MIN_AGREEMENT:.2%}); nothing was written"
        )
