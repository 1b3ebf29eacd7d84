"""How much slower this measurement is than another: anchors, networks that both have measured.

Absolute times drift by 27 % between runs on one machine. Whoever compares two runs measures the anchors of the first
interleaved with its own items and divides by the median ratio.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from mnas.errors import CheckError

LEAST_ANCHORS = 3
LARGEST_SPREAD = 0.10


class AnchorRatio(NamedTuple):
    """The speed of one measurement relative to another.

    Attributes:
        ratio: median of now / then over the anchors.
        spread: how far the anchors disagree: 1.4826 times the median absolute deviation of their log ratios, which is
            the standard deviation of normal noise and ignores a single odd anchor.
        n: number of anchors.
    """

    ratio: float
    spread: float
    n: int


def anchor_ratio(now_ms: Mapping[str, float], then_ms: Mapping[str, float]) -> AnchorRatio:
    """Compare the filtered medians of the anchors, by any key, in two measurements.

    Raises:
        CheckError: fewer than three anchors in both, or they disagree by more than 10 %.
    """
    shared = [key for key in then_ms if key in now_ms]
    if len(shared) < LEAST_ANCHORS:
        raise CheckError(
            f"only {len(shared)} of {len(then_ms)} anchors were measured, {LEAST_ANCHORS} are needed to compare with "
            "the table: profile again into a new table"
        )
    logs = np.log([now_ms[key] / then_ms[key] for key in shared])
    middle = float(np.median(logs))
    spread = 1.4826 * float(np.median(np.abs(logs - middle)))
    if spread > LARGEST_SPREAD:
        raise CheckError(
            f"the {len(shared)} anchors disagree by {spread:.0%} about how this measurement compares with the table "
            f"(at most {LARGEST_SPREAD:.0%}; their ratios are {_range(logs)}): stop other programs and run again, or "
            "profile again into a new table"
        )
    return AnchorRatio(float(np.exp(middle)), spread, len(shared))


def _range(logs: np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    return f"{float(np.exp(logs.min())):.2f} to {float(np.exp(logs.max())):.2f}"
