"""Accuracy (or a score) against latency: what is not dominated, and how much of the plane it covers."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mnas.searchers.trial import Trial


def front(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """The trials that no other beats in accuracy (or score) and latency at once, fastest first.

    Trials without either are left out; of trials at the same point (a repeat) the first stays.
    """
    measured = [trial for trial in trials if trial.value is not None]
    points = np.array([(trial.value, trial.latency.ms) for trial in measured], np.float64)
    return tuple(measured[i] for i in non_dominated(points))


def non_dominated(points: ArrayLike) -> NDArray[np.int64]:
    """Indices of the non-dominated points, fastest first; of equal points the first.

    Args:
        points: (n, 2) of accuracy (up is better) and latency (down is better).
    """
    accuracy, latency = np.asarray(points, np.float64).reshape(-1, 2).T
    order = np.lexsort((-accuracy, latency))
    ahead = np.maximum.accumulate(np.concatenate(([-np.inf], accuracy[order])))[:-1]
    return np.asarray(order[accuracy[order] > ahead], np.int64)


def hypervolume(points: ArrayLike, reference: tuple[float, float]) -> float:
    """Area that `points` dominate within `reference`, in accuracy times milliseconds.

    Args:
        points: (n, 2) of accuracy and latency in ms; what is no better than the reference adds nothing.
        reference: the worst accuracy and the worst latency of interest.
    """
    worst, slowest = reference
    inside = np.asarray(points, np.float64).reshape(-1, 2)
    inside = inside[(inside[:, 0] > worst) & (inside[:, 1] < slowest)]
    accuracy, latency = inside[non_dominated(inside)].T
    return float(np.sum((slowest - latency) * np.diff(accuracy, prepend=worst)))
