"""Intervals that hold nine of ten networks, whatever the errors are like: split conformal prediction.

The half width is an order statistic of the relative residuals of networks that no fit has seen (Vovk, Gammerman and
Shafer, Algorithmic Learning in a Random World, 2005, sec. 4.2). Of `n` such networks the one of rank
`ceil((n + 1) * 0.9)` holds a further network with a probability of at least 90 %.
"""

from __future__ import annotations

from math import ceil

import numpy as np

from mnas.latency.validation import Floats

CONFIDENCE = 0.9
"""Share of networks whose latency the interval of a prediction holds."""
LEAST_HELD = 9
"""Networks below which the largest residual holds fewer than that."""


def half_width(held: Floats, own: Floats) -> float:
    """The relative half width of an interval.

    Below `LEAST_HELD` held-out networks the interval is as wide as the largest of their residuals and as what the
    leave-one-out residuals of the fit ask for; where there are none, these alone decide.

    Args:
        held: residuals, measured / predicted - 1, of networks held out of the fit, (n,).
        own: leave-one-out residuals of the networks of the fit, (m,).
    """
    if len(held) >= LEAST_HELD:
        return _quantile(held)
    return max(_quantile(own), float(np.abs(held).max(initial=0.0)))


def _quantile(residuals: Floats) -> float:
    """The order statistic; the largest where it would be beyond all."""
    n = len(residuals)
    rank = min(n, ceil((n + 1) * CONFIDENCE))
    return float(np.sort(np.abs(residuals))[rank - 1])
