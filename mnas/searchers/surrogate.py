"""Reinforcement learning against a surrogate: the controller learns from predictions, evaluations go to its proposals.

Latency is exact and free, so only the accuracy is predicted. Model-based policy optimisation in the manner of Dyna
(Sutton, 1990) with proposals by upper confidence bounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from mnas.errors import ConfigError
from mnas.ir import Architecture
from mnas.searchers.ensemble import Ensemble
from mnas.searchers.objective import Objective
from mnas.searchers.policy import Floats, Policy, PolicyName, make_policy, spread
from mnas.searchers.searcher import as_encodings, check_count, check_told, generator, searchers
from mnas.spaces import Encoding, SearchSpace, arity, sample

_UNIFORM = 800
"""Uniform draws among which a network within the target is looked for, before the controller looks for one."""
_AVERAGE = 0.5
"""Quality that is expected where no network was trained."""


class _Outlook(NamedTuple):
    """What is expected of one encoding."""

    quality: float
    deviation: float
    latency_ms: float
    feasible: bool


@searchers.register("surrogate")
class Surrogate:
    """A policy takes many REINFORCE steps against an ensemble of accuracy models before every batch it proposes.

    What the policy is rewarded for is the reward at the predicted accuracy plus `optimism` standard deviations. Every
    step also learns from the best trials. Of all it drew, the networks of highest reward are proposed, each at
    an optimism of its own (exponential, mean `optimism`): some proposals exploit, others explore. Networks that are
    known or over the target are not proposed, unless nothing else is left. The first trials are uniform draws within
    the target. The controller starts anew before every batch: it remembers nothing of a surrogate that was wrong.

    Latency is known, so infeasible trials teach nothing. A failed evaluation counts as what it was told as, the
    average accuracy.

    Args:
        space: where to search.
        seed: see `Searcher`.
        objective: what is known of encodings before they are trained.
        policy: "factored" or "lstm" (one layer of 100 units).
        lr: learning rate of Adam; the policy's own if not given (see `make_policy`).
        entropy: weight of the policy's entropy in nats, averaged over the choices.
        steps: steps of the controller before every batch.
        draws: encodings drawn a step.
        elites: best trials that every step learns from.
        optimism: standard deviations that count as reward.
        first: trials before the surrogate is asked.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        *,
        objective: Objective,
        policy: PolicyName = "factored",
        lr: float | None = None,
        entropy: float = 0.6,
        steps: int = 16,
        draws: int = 48,
        elites: int = 8,
        optimism: float = 1.0,
        first: int = 16,
    ) -> None:
        if min(steps, draws, first) < 1 or min(elites, entropy, optimism) < 0:
            raise ConfigError(
                f"steps, draws and first must be at least 1, elites, entropy and optimism at least 0, "
                f"got {steps}, {draws}, {first}, {elites}, {entropy} and {optimism}"
            )
        self._space, self._seed = space, seed
        self._objective = objective
        self._policy: PolicyName = policy
        self._lr = lr
        self._entropy_weight, self._steps, self._draws = entropy, steps, draws
        self._elites, self._optimism, self._first = elites, optimism, first
        make_policy(policy, space, seed, lr=self._lr)  # says what is wrong
        self._met: dict[Architecture, Encoding] = {}
        self._qualities: list[float] = []
        self._told = 0
        self._idle = False

    def ask(self, n: int) -> list[Encoding]:
        check_count(n)
        rng = generator(self._seed, self._told)
        new: dict[Architecture, Encoding] = {}
        with threadpool_limits(1):  # matrices are small, and other processes train
            for encoding in self._ranked(rng):
                network = self._objective.network(encoding)
                if network not in self._met:
                    new.setdefault(network, encoding)
                if len(new) == n:
                    break
        rest = as_encodings(sample(self._space, rng, n - len(new)))
        return [*new.values(), *rest]

    def tell(self, encodings: Sequence[Encoding], rewards: Sequence[float]) -> None:
        told = check_told(self._space, encodings, rewards)
        if not len(told):
            return
        prospects = self._objective.prospects(encodings)
        qualities = self._objective.quality(told, np.array([each.latency_ms for each in prospects]))
        before = len(self._met)
        for encoding, prospect, quality in zip(encodings, prospects, qualities.tolist(), strict=True):
            network = self._objective.network(encoding)
            if network not in self._met:
                self._met[network] = encoding
                self._qualities.append(quality if prospect.feasible else np.nan)
        self._idle = len(self._met) == before
        self._told += len(told)

    def _ranked(self, rng: np.random.Generator) -> Iterator[Encoding]:
        """Encodings within the target, best first; a batch that held nothing new is followed by uniform draws."""
        if self._idle:
            return self._uniform(rng)
        if np.isfinite(self._qualities).sum() < self._first:
            return chain(self._uniform(rng), self._proposals(rng))
        return self._proposals(rng)

    def _uniform(self, rng: np.random.Generator) -> Iterator[Encoding]:
        for encoding in as_encodings(sample(self._space, rng, _UNIFORM)):
            if self._objective.prospects([encoding])[0].feasible:
                yield encoding

    def _proposals(self, rng: np.random.Generator) -> Iterator[Encoding]:
        """The best of what a new controller draws while it learns."""
        known: dict[Encoding, _Outlook] = {}
        model, elites = self._model(), self._best()
        policy = make_policy(self._policy, self._space, int(rng.integers(2**31)), lr=self._lr)
        for _ in range(self._steps):
            encodings = [*as_encodings(policy.sample(rng, self._draws)), *elites]
            self._foretell(model, encodings, known)
            self._teach(policy, encodings, known)
        quality, deviation, ms, feasible = np.array(list(known.values())).T
        left = feasible > 0
        while left.any():
            optimistic = quality + rng.exponential(self._optimism) * deviation
            best = int(np.argmax(np.where(left, self._objective.rewards(optimistic, ms), -np.inf)))
            left[best] = False
            yield list(known)[best]

    def _teach(self, policy: Policy, encodings: list[Encoding], known: dict[Encoding, _Outlook]) -> None:
        quality, deviation, ms, feasible = np.array([known[encoding] for encoding in encodings]).T
        score = self._score(quality + self._optimism * deviation, ms, feasible > 0)
        mean = float(score.mean())
        advantages = (score - mean) / spread(mean, float(score.std()))
        policy.ascend(np.array(encodings, np.int64), lambda _: advantages, self._entropy_weight)

    def _score(self, quality: Floats, latency_ms: Floats, feasible: NDArray[np.bool_]) -> Floats:
        """Rewards; what is not feasible scores as the worst that is, or where nothing is, by its latency."""
        if not feasible.any():
            return -np.log(latency_ms)
        rewards = self._objective.rewards(quality, latency_ms)
        return np.where(feasible, rewards, rewards[feasible].min())

    def _foretell(self, model: Ensemble | None, encodings: list[Encoding], known: dict[Encoding, _Outlook]) -> None:
        """Add to `known` what it lacks."""
        new = list(dict.fromkeys(encoding for encoding in encodings if encoding not in known))
        if not new:
            return
        prospects = self._objective.prospects(new)
        quality, deviation = np.full(len(new), _AVERAGE), np.zeros(len(new))
        if model:
            sizes = np.array([each.size for each in prospects])
            quality, deviation = model.predict(np.array(new, np.int64), sizes)
        for encoding, each, mean, sd in zip(new, prospects, quality.tolist(), deviation.tolist(), strict=True):
            known[encoding] = _Outlook(mean, sd, each.latency_ms, each.feasible)

    def _model(self) -> Ensemble | None:
        """Fit the surrogate to the feasible trials; nothing can be said without one."""
        seen = [(e, q) for e, q in zip(self._met.values(), self._qualities, strict=True) if np.isfinite(q)]
        if not seen:
            return None
        encodings, qualities = zip(*seen, strict=True)
        sizes = np.array([each.size for each in self._objective.prospects(encodings)])
        options = int(arity(self._space).max(initial=1))
        return Ensemble(np.array(encodings, np.int64), sizes, np.array(qualities), options)

    def _best(self) -> list[Encoding]:
        """The trials of highest score, best first."""
        met = list(self._met.values())
        if not met:
            return []
        ms = np.array([each.latency_ms for each in self._objective.prospects(met)])
        qualities = np.array(self._qualities)
        score = self._score(qualities, ms, np.isfinite(qualities))
        return [met[i] for i in np.argsort(-score, kind="stable")[: self._elites]]
