"""An accuracy surrogate: a few Gaussian processes over encodings, averaged by how well each explains what was seen."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_REACH = (0.2, 0.6, 2.0)
_NOISE = (1e-3, 0.02, 0.2)
_COST = (0.5, 2.0)
_NEGLIGIBLE = 0.05


class _Member(NamedTuple):
    reach: float
    cost: float
    root: Floats
    solved: Floats
    scale: float


class Ensemble:
    def __init__(self, encodings: Ints, costs: Floats | None, values: Floats, options: int) -> None:
        self._options = options
        self._seen, self._costs = self._hot(encodings), costs
        self._mean, self._spread = float(values.mean()), float(values.std()) or 1.0
        target = (values - self._mean) / self._spread
        n = len(target)
        members: list[_Member] = []
        likelihoods: list[float] = []
        for reach, cost in product(_REACH, _COST if costs is not None else (np.inf,)):
            covariance = self._covariance(self._seen, self._costs, reach, cost)
            for noise in _NOISE:
                root = np.linalg.inv(np.linalg.cholesky(covariance + noise * np.eye(n)))
                white = root @ target
                scale = float(white @ white) / n
                likelihoods.append(float(np.log(np.diagonal(root)).sum()) - 0.5 * n * np.log(scale + 1e-12))
                members.append(_Member(reach, cost, root, root.T @ white, scale))
        weights = np.exp(np.array(likelihoods) - max(likelihoods))
        kept = np.flatnonzero(weights > _NEGLIGIBLE)
        self._members = [members[i] for i in kept]
        self._weights = weights[kept] / weights[kept].sum()

    def predict(self, encodings: Ints, costs: Floats | None) -> tuple[Floats, Floats]:
        hot = self._hot(encodings)
        mean, square = np.zeros((2, len(encodings)))
        for m, weight in zip(self._members, self._weights, strict=True):
            near = self._covariance(hot, costs, m.reach, m.cost)
            its = near @ m.solved
            variance = m.scale * np.maximum(1 - np.square(near @ m.root.T).sum(1), 1e-9)
            mean += weight * its
            square += weight * (variance + its**2)
        sd = np.sqrt(np.maximum(square - mean**2, 0))
        return self._mean + self._spread * mean, self._spread * sd

    def _hot(self, encodings: Ints) -> Floats:
        hot = encodings[:, :, None] == np.arange(self._options)
        return hot.reshape(len(encodings), -1).astype(np.float64)

    def _covariance(self, hot: Floats, costs: Floats | None, reach: float, cost: float) -> Floats:
        choices = hot.shape[1] / self._options
        K = np.exp((hot @ self._seen.T / choices - 1) / reach)
        if costs is not None and self._costs is not None:
            K = (0.5 + 0.5 * K) * np.exp(-np.abs(costs[:, None] - self._costs) / cost)
        return K
