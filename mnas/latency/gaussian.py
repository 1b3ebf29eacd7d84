"""Regression from a handful of points: a Gaussian process whose strengths are averaged over, not tuned.

Each combination of strengths is weighted by its marginal likelihood. Ten points cannot tell one best combination,
and an average never bets on one. See Rasmussen and Williams, Gaussian Processes for Machine Learning, chapter 5.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_CONSTANT = 100.0
"""Prior variance of the common level, in squared logs: as good as free."""
_NOISE = (3e-5, 3e-3, 0.02, 0.1)
"""Variances of the noise, relative to the variance of the prior mean."""
_NEGLIGIBLE = 1e-3
"""Combinations of less weight are left out."""


class Part(NamedTuple):
    """One reason why points deviate from the prior mean.

    Attributes:
        inputs: (n, any), of mean squared length 1 or all 0.
        variances: strengths to average over, relative to the variance of the prior mean.
        smooth: whether the deviation is any smooth function of the inputs, or else a linear one.
    """

    inputs: Floats
    variances: tuple[float, ...]
    smooth: bool = False


class Posterior(NamedTuple):
    """What is known about all n points, and how well each measured one is foretold by the others.

    Attributes:
        mean: (n,).
        deviation: standard deviation with noise, (n,).
        left_out_mean: the mean at each measured point had it not been measured, (k,).
        left_out_deviation: its standard deviation, (k,).
    """

    mean: Floats
    deviation: Floats
    left_out_mean: Floats
    left_out_deviation: Floats


class _Fit(NamedTuple):
    """One combination of strengths."""

    strengths: Floats
    noise: float
    inverse: Floats
    log_likelihood: float


def regress(prior: Floats, parts: list[Part], scale: float, measured_idx: Ints, measured: Floats) -> Posterior:
    """Condition `prior` plus an unknown level plus `parts` on measured values.

    Args:
        prior: mean before any measurement, (n,).
        parts: what adds to it.
        scale: standard deviation that the strengths of parts and noise are relative to.
        measured_idx: measured points, (k,).
        measured: their values, (k,).
    """
    across = [_covariance(part, measured_idx) for part in parts]
    own = [np.ones(len(prior)) if part.smooth else np.square(part.inputs).sum(axis=1) for part in parts]
    target = measured - prior[measured_idx]
    fits = _fits(parts, scale, [a[measured_idx] for a in across], target)
    likelihood = np.array([fit.log_likelihood for fit in fits])
    weight = _weights(likelihood)

    mean, square = np.zeros((2, len(prior)))
    for fit, share in zip(fits, weight, strict=True):
        if share < _NEGLIGIBLE * weight.max():
            continue
        to_measured = _CONSTANT + _mix(fit.strengths, across)
        its_mean = to_measured @ (fit.inverse @ target)
        explained = np.einsum("ij,jk,ik->i", to_measured, fit.inverse, to_measured, optimize=True)
        variance = np.maximum(_CONSTANT + _mix(fit.strengths, own) - explained, 0) + fit.noise
        mean += share * its_mean
        square += share * (variance + its_mean**2)
    kept = float(weight[weight >= _NEGLIGIBLE * weight.max()].sum())
    mean, square = mean / kept, square / kept
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    left_out, left_out_deviation = _leave_one_out(fits, likelihood, target)
    return Posterior(prior + mean, deviation, prior[measured_idx] + left_out, left_out_deviation)


def reduce_most(
    prior: Floats,
    parts: list[Part],
    scale: float,
    measured_idx: Ints,
    measured: Floats,
    candidates: Ints,
    judges: Ints,
    count: int,
) -> Ints:
    """Choose the candidates whose values would lower the summed variance of the judges most, one after the other.

    The strengths are the weighted mean of the combinations, for one covariance instead of hundreds.

    Args:
        prior: as `regress`.
        parts: as `regress`.
        scale: as `regress`.
        measured_idx: as `regress`.
        measured: as `regress`.
        candidates: points to choose from, (c,).
        judges: points whose uncertainty counts, (j,).
        count: how many to choose.

    Returns:
        Some of `candidates`, (count,), in order of choice.
    """
    points = np.concatenate([measured_idx, candidates, judges])
    here = [part._replace(inputs=part.inputs[points]) for part in parts]
    k, n = len(measured_idx), len(measured_idx) + len(candidates)
    across = [_covariance(part, np.arange(n)) for part in here]
    fits = _fits(parts, scale, [a[:k, :k] for a in across], measured - prior[measured_idx])
    weight = _weights(np.array([fit.log_likelihood for fit in fits]))
    strengths = weight @ np.stack([fit.strengths for fit in fits])
    noise = float(weight @ np.array([fit.noise for fit in fits]))
    covariance = _CONSTANT + _mix(strengths, across)
    among = covariance[:k, :k] + noise * np.eye(k)
    left = covariance[k:, k:] - covariance[k:, :k] @ np.linalg.solve(among, covariance[:k, k:])
    chosen: list[int] = []
    while len(chosen) < count:
        variance = np.maximum(np.diagonal(left), 0) + noise
        gain = np.square(left[n - k :]).sum(axis=0) / variance
        gain[chosen] = -1.0
        chosen.append(int(gain.argmax()))
        column = left[:, chosen[-1]]
        left = left - np.outer(column, column[: n - k]) / variance[chosen[-1]]
    return np.asarray(candidates[chosen], np.int64)


def _fits(parts: list[Part], scale: float, among: list[Floats], target: Floats) -> list[_Fit]:
    """Fit every combination of strengths to values (k,), whose covariances are (k, k) at strength 1."""
    combinations = product(*(part.variances for part in parts), _NOISE)
    return [_fit(np.array(each) * scale**2, among, target) for each in combinations]


def _leave_one_out(fits: list[_Fit], likelihood: Floats, target: Floats) -> tuple[Floats, Floats]:
    """Mean and standard deviation at each measured point from the others; the weights do not see it either."""
    precision = np.stack([np.diagonal(fit.inverse) for fit in fits])
    residual = np.stack([fit.inverse @ target for fit in fits]) / precision
    density = 0.5 * (np.log(precision) - residual**2 * precision)
    weight = _weights(likelihood[:, None] - density)
    mean = target - (weight * residual).sum(axis=0)
    square = (weight * (1 / precision + (target - residual) ** 2)).sum(axis=0)
    return mean, np.sqrt(np.maximum(square - mean**2, 0))


def _weights(log_likelihood: Floats) -> Floats:
    """Shares proportional to likelihoods, which sum to 1 along the first axis."""
    weight: Floats = np.exp(log_likelihood - log_likelihood.max(axis=0))
    return np.asarray(weight / weight.sum(axis=0))


def _covariance(part: Part, measured_idx: Ints) -> Floats:
    """Of all points with the measured ones at strength 1, (n, k)."""
    near = part.inputs[measured_idx]
    inner: Floats = part.inputs @ near.T
    if not part.smooth:
        return inner
    square = np.square(part.inputs).sum(axis=1)[:, None] + np.square(near).sum(axis=1) - 2 * inner
    return np.asarray(np.exp(-np.maximum(square, 0) / 2))


def _mix(strengths: Floats, terms: list[Floats]) -> Floats:
    return np.asarray(sum((s * term for s, term in zip(strengths, terms, strict=True)), np.zeros(())))


def _fit(variances: Floats, terms: list[Floats], target: Floats) -> _Fit:
    """Invert the covariance of the measured points, whose terms are (k, k); the last variance is the noise."""
    strengths, noise = variances[:-1], float(variances[-1])
    covariance = _CONSTANT + _mix(strengths, terms) + noise * np.eye(len(target))
    root = np.linalg.inv(np.linalg.cholesky(covariance))
    whitened = root @ target
    log_likelihood = float(np.log(np.diagonal(root)).sum() - 0.5 * whitened @ whitened)
    return _Fit(strengths, noise, root.T @ root, log_likelihood)
