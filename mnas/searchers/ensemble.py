"""A surrogate of accuracy: a few Gaussian processes, each as trusted as it explains what was seen.

They differ in how far what one network tells reaches to others, and are averaged by marginal likelihood instead of
tuned (Rasmussen & Williams, Gaussian Processes for Machine Learning, ch. 5).
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np

from mnas.searchers.policy import Floats, Ints, spread

_REACH = (0.2, 0.6, 2.0)
"""Shares of all choices to differ in, after which the covariance of two networks of one size has fallen by a third."""
_SIZE_REACH = (0.5, 2.0)
"""Differences in size, in standard deviations, after which a covariance has fallen to 1/e."""
_NOISE = (1e-3, 0.02, 0.2)
"""Variances of the noise, relative to that of the process."""
_COMPARED = 150
"""Networks by which members are weighed."""
_KEPT = 400
"""Networks that members learn from."""
_MEMBERS = 3


class _Kernel(NamedTuple):
    """Covariance (1 + exp(-d / reach)) / 2 * exp(-|s| / size_reach), d the share of choices that differ, s of size."""

    reach: float
    size_reach: float

    def __call__(self, one: Floats, other: Floats) -> Floats:
        """Covariances (n, m) of points (n, 1 + coordinates) with (m, 1 + coordinates)."""
        alike = one[:, 1:] @ other[:, 1:].T
        size = np.abs(one[:, :1] - other[:, 0])
        return np.asarray((1 + np.exp((alike - 1) / self.reach)) / 2 * np.exp(-size / self.size_reach))


class _Member(NamedTuple):
    """A process conditioned on points; its variance is the one of highest likelihood."""

    kernel: _Kernel
    noise: float
    points: Floats
    root: Floats
    solved: Floats
    variance: float
    log_likelihood: float

    @classmethod
    def fit(cls, kernel: _Kernel, noise: float, points: Floats, values: Floats) -> _Member:
        n = len(values)
        root = np.linalg.inv(np.linalg.cholesky(kernel(points, points) + noise * np.eye(n)))
        white = root @ values
        variance = max(float(white @ white) / n, 1e-12)
        likelihood = float(np.log(np.diagonal(root)).sum()) - 0.5 * n * float(np.log(variance))
        return cls(kernel, noise, points, root, root.T @ white, variance, likelihood)

    def predict(self, points: Floats) -> tuple[Floats, Floats]:
        near = self.kernel(points, self.points)
        explained = np.square(near @ self.root.T).sum(1)
        return near @ self.solved, self.variance * np.maximum(1 - explained, 0.0)


class Ensemble:
    """Foretells the accuracy of networks from that of others; costs milliseconds, whatever the number of networks.

    Members are weighed by the latest networks; they learn from the best and the latest. Values far below the median are
    raised to what tells a bad network, so that a few broken ones do not decide what counts as a difference.

    Args:
        encodings: networks, (n, choices), n >= 1.
        sizes: of the networks, on a scale on which differences count, (n,).
        values: their accuracies, (n,).
        options: the largest number of options of a choice.
    """

    def __init__(self, encodings: Ints, sizes: Floats, values: Floats, options: int) -> None:
        self._options = options
        self._level = float(sizes.mean())
        self._spread = spread(self._level, float(sizes.std()))
        median, high = np.median(values), np.quantile(values, 0.9)
        tamed = np.maximum(values, median - 2 * (high - median))
        self._mean = float(tamed.mean())
        self._unit = spread(self._mean, float(tamed.std()))
        points, targets = self._points(encodings, sizes), (tamed - self._mean) / self._unit
        compared = slice(-_COMPARED, None)
        members = [
            _Member.fit(_Kernel(reach, size_reach), noise, points[compared], targets[compared])
            for reach, size_reach, noise in product(_REACH, _SIZE_REACH, _NOISE)
        ]
        best = sorted(members, key=lambda member: -member.log_likelihood)[:_MEMBERS]
        weights = np.exp([member.log_likelihood - best[0].log_likelihood for member in best])
        self._weights: Floats = weights / weights.sum()
        kept = _best_and_latest(targets)
        self._members = [_Member.fit(m.kernel, m.noise, points[kept], targets[kept]) for m in best]

    def predict(self, encodings: Ints, sizes: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the accuracies of networks, (n,) each, without noise."""
        points = self._points(encodings, sizes)
        mean, square = np.zeros((2, len(points)))
        for member, weight in zip(self._members, self._weights, strict=True):
            its_mean, its_variance = member.predict(points)
            mean += weight * its_mean
            square += weight * (its_variance + its_mean**2)
        deviation = np.sqrt(np.maximum(square - mean**2, 0))
        return self._mean + self._unit * mean, self._unit * deviation

    def _points(self, encodings: Ints, sizes: Floats) -> Floats:
        """Size in standard deviations, then choices one-hot so that the product of equal encodings is 1."""
        hot = (encodings[:, :, None] == np.arange(self._options)).reshape(len(encodings), -1)
        return np.column_stack(((sizes - self._level) / self._spread, hot / np.sqrt(max(1, encodings.shape[1]))))


def _best_and_latest(values: Floats) -> Ints:
    """Indices of at most `_KEPT` values."""
    if len(values) <= _KEPT:
        return np.arange(len(values))
    best = np.argsort(-values, kind="stable")[: _KEPT // 2]
    latest = np.setdiff1d(np.arange(len(values)), best)[-(_KEPT - len(best)) :]
    return np.sort(np.concatenate((best, latest)))
