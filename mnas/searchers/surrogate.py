"""Reinforcement learning against a surrogate: many cheap steps on predicted rewards between real evaluations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mnas.errors import ConfigError
from mnas.ir import Architecture
from mnas.searchers.ensemble import Ensemble
from mnas.searchers.objective import Objective
from mnas.searchers.policy import Floats, Ints, Policy, PolicyName, make_policy
from mnas.searchers.searcher import as_encodings, check_count, check_told, generator, searchers
from mnas.spaces import Encoding, SearchSpace, sample


@searchers.register("surrogate")
class Surrogate:
    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        *,
        objective: Objective | None = None,
        policy: PolicyName = "factored",
        steps: int = 16,
        draws: int = 32,
        lr: float = 0.3,
        entropy: float = 0.05,
        optimism: float = 1.0,
        first: int = 16,
        elites: int = 8,
        warm: int = 0,
        pk: float = 1.0,
    ) -> None:
        self._space, self._seed = space, seed
        self._objective = objective or Objective(space)
        self._policy = policy
        self._steps, self._draws, self._lr, self._entropy = steps, draws, lr, entropy
        self._optimism, self._first = optimism, first
        self._elites, self._warm, self._pk = elites, warm, pk
        self._met: set[Architecture] = set()
        self._encodings: list[Encoding] = []
        self._quality: list[float] = []
        self._told = 0
        self._dry = False

    def ask(self, n: int) -> list[Encoding]:
        check_count(n)
        rng = generator(self._seed, self._told)
        if len(self._encodings) < self._first or self._dry:
            ranked = self._uniform(rng)
        else:
            ranked = self._ranked(rng, n)
        out: list[Encoding] = []
        met = set(self._met)
        for encoding in ranked:
            network = self._objective.network(encoding)
            if network not in met:
                met.add(network)
                out.append(encoding)
                if len(out) == n:
                    return out
        return out + as_encodings(sample(self._space, rng, n - len(out)))

    def tell(self, encodings: Sequence[Encoding], rewards: Sequence[float]) -> None:
        told = check_told(self._space, encodings, rewards)
        self._dry = True
        prospects = self._objective.prospects(encodings)
        ms = np.array([p.latency_ms for p in prospects])
        for encoding, prospect, quality in zip(encodings, prospects, self._objective.quality(told, ms), strict=True):
            network = self._objective.network(encoding)
            if network in self._met:
                continue
            self._met.add(network)
            if prospect.feasible:
                self._dry = False
                self._encodings.append(encoding)
                self._quality.append(float(quality))
        self._told += len(told)

    def _uniform(self, rng: np.random.Generator) -> Iterator[Encoding]:
        for _ in range(50):
            encodings = as_encodings(sample(self._space, rng, 16))
            prospects = self._objective.prospects(encodings)
            yield from (e for e, p in zip(encodings, prospects, strict=True) if p.feasible)

    def _ranked(self, rng: np.random.Generator, n: int) -> Iterator[Encoding]:
        quality = np.array(self._quality)
        sizes = np.array([p.size for p in self._objective.prospects(self._encodings)])
        mu, sd = sizes.mean(), sizes.std() or 1.0
        options = max(len(c.options) for c in self._space.choices)
        model = Ensemble(np.array(self._encodings), (sizes - mu) / sd, _winsorized(quality), options)
        policy = make_policy(self._policy, self._space, self._told, lr=self._lr)
        seen: dict[Encoding, tuple[float, float, float]] = {}
        ems = np.array([p.latency_ms for p in self._objective.prospects(self._encodings)])
        top = np.argsort(-self._objective.rewards(quality, ems))[: self._elites]
        best = np.array(self._encodings)[top]
        for _ in range(self._warm):
            policy.ascend(best, lambda ll: np.ones_like(ll), self._entropy)
        for _ in range(self._steps):
            drawn = policy.sample(rng, self._draws)
            if not self._warm:
                drawn = np.concatenate([drawn, best])
            encodings = as_encodings(drawn)
            new = list(dict.fromkeys(e for e in encodings if e not in seen))
            if new:
                ps = self._objective.prospects(new)
                mean, dev = model.predict(np.array(new), (np.array([p.size for p in ps]) - mu) / sd)
                for e, p, m, d in zip(new, ps, mean, dev, strict=True):
                    seen[e] = (m, d, p.latency_ms if p.feasible else -p.latency_ms)
            m, d, ms = np.array([seen[e] for e in encodings]).T
            score = self._objective.rewards(m + self._optimism * d, abs(ms))
            bad = ms < 0
            if bad.all():
                score = -np.log(-ms)
            elif bad.any():
                score[bad] = score[~bad].min()
            spread = score.std()
            adv = (score - score.mean()) / (spread if spread > 0 else 1.0)
            policy.ascend(drawn, lambda _: adv, self._entropy)
        old = set(self._encodings)
        pool = [e for e, v in seen.items() if v[2] > 0 and e not in old]
        if not pool:
            return
        m, d, ms = np.array([seen[e] for e in pool]).T
        for _ in range(4 * n):
            j = int(np.argmax(self._objective.rewards(m + rng.exponential(self._pk) * d, ms)))
            yield pool[j]
            m[j] = -np.inf


def _winsorized(y: Floats) -> Floats:
    hi, md = np.quantile(y, 0.9), np.median(y)
    return np.asarray(np.maximum(y, md - 2 * max(hi - md, 1e-3)))
