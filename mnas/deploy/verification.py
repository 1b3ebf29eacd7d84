"""Does a file compute what was trained? Parity on real images, and what the file is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnas.deploy.inference import Images, Logits, logits
from mnas.errors import CheckError
from mnas.lower import Dtype, Format, float_operators, operators

MAX_RELATIVE_DIFF = 1e-3
"""Largest difference of a float32 file's logits from torch's, relative to the largest logit, that passes."""
MIN_AGREEMENT = 0.995
"""Smallest share of images on which a float32 file and torch name the same class."""
MAX_ACCURACY_DROP = 0.02
"""Largest accuracy, 0..1, that an int8 file may lose against torch on the same images, unless asked otherwise."""


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
        accuracy_drop: what torch is better on the same images, 0..1; negative if the file is better.
        float_operators: how often each operator runs in float32, in an int8 file on this host.
        images: how many images were run.
    """

    operators: dict[str, int]
    pad: int
    transpose: int
    max_abs_diff: float
    scale: float
    top1_agreement: float
    accuracy: float | None
    accuracy_drop: float | None
    float_operators: dict[str, int]
    images: int


def verify(
    model: bytes,
    format: Format,  # noqa: A002
    images: Images,
    reference: Logits,
    labels: NDArray[np.int64] | None,
    dtype: Dtype = "float32",
    max_accuracy_drop: float = MAX_ACCURACY_DROP,
) -> Verification:
    """Run a file over `images` (n, C, H, W) and compare with `reference` logits (n, classes).

    A float32 file must give the same logits. An int8 file may lose up to `max_accuracy_drop` of accuracy; where there
    are no labels nothing can be said of it but that it runs.

    Raises:
        CheckError: the file differs from what was trained, or holds a TRANSPOSE.
    """
    histogram = operators(model, format)
    out = logits(model, format, images)
    scale = float(np.abs(reference).max())
    accuracy = None if labels is None else float((out.argmax(1) == labels).mean())
    drop = None if accuracy is None else float((reference.argmax(1) == labels).mean()) - accuracy
    found = Verification(
        operators=histogram,
        pad=sum(n for name, n in histogram.items() if name.upper().startswith("PAD")),
        transpose=sum(n for name, n in histogram.items() if name.upper() == "TRANSPOSE"),
        max_abs_diff=float(np.abs(out - reference).max()),
        scale=scale,
        top1_agreement=float((out.argmax(1) == reference.argmax(1)).mean()),
        accuracy=accuracy,
        accuracy_drop=drop,
        float_operators=float_operators(model, format) if dtype == "int8" else {},
        images=len(images),
    )
    if found.transpose:
        raise CheckError(f"the {format} file holds TRANSPOSE operators: {found.operators}")
    if dtype == "float32":
        _check_parity(found, format)
    elif drop is not None and not drop <= max_accuracy_drop:
        raise CheckError(
            f"the int8 {format} file loses {drop:.2%} of accuracy on {found.images} test images (allowed "
            f"{max_accuracy_drop:.2%}): {accuracy:.2%} are right; nothing was written. Calibrate on more images with "
            "--calibration, or allow more with --max-accuracy-drop"
        )
    return found


def _check_parity(found: Verification, format: Format) -> None:  # noqa: A002
    differs = not found.max_abs_diff <= MAX_RELATIVE_DIFF * found.scale
    if differs or found.top1_agreement < MIN_AGREEMENT:
        raise CheckError(
            f"the {format} file does not compute what was trained: on {found.images} images its logits differ by up "
            f"to {found.max_abs_diff:.3g} (allowed {MAX_RELATIVE_DIFF * found.scale:.3g}) and it names the same class "
            f"on {found.top1_agreement:.2%} (at least {MIN_AGREEMENT:.2%}); nothing was written"
        )
