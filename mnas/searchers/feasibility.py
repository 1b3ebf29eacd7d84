"""Is there a network within the target at all? Asked before anything is trained; latency is free."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mnas.errors import CheckError
from mnas.searchers.objective import Objective
from mnas.searchers.searcher import as_encodings
from mnas.spaces import Encoding, sample, sample_biased

SAMPLES = 2000
"""Networks looked at before the fastest of them is improved choice by choice."""


def check_feasible(objective: Objective, seed: int) -> None:
    """Return as soon as a network within the target is found.

    The network of all first options comes first, then random ones, then a descent from the fastest: every
    choice in turn takes its fastest option until none improves.

    Raises:
        CheckError: none was found; the fastest is named.
        MissingLatencyError: the table lacks rows of the space.
    """
    fastest, target_ms = np.inf, objective.target_ms
    for high_ms in _high_ms(objective, np.random.default_rng(seed)):
        fastest = min(fastest, high_ms)
        if fastest <= target_ms:
            return
    raise CheckError(
        f"no network of space {objective.space.name} was found within target_ms = {target_ms:g}: the fastest has an "
        f"upper bound of {fastest:.4g} ms; raise the target (--target-ms {_rounded_up(fastest):g}), or use a smaller "
        "space or image"
    )


def _high_ms(objective: Objective, rng: np.random.Generator) -> Iterator[float]:
    """Upper bounds of the latency of candidates, in ms."""
    space = objective.space

    def price(encoding: Encoding) -> float:
        return objective.price(objective.network(encoding)).high_ms

    best = (0,) * len(space.choices)
    yield (fastest := price(best))
    drawn = np.concatenate([draw(space, rng, SAMPLES // 2) for draw in (sample_biased, sample)])
    for encoding in as_encodings(drawn):
        yield (high_ms := price(encoding))
        if high_ms < fastest:
            best, fastest = encoding, high_ms
    improved = True
    while improved:
        improved = False
        for i, choice in enumerate(space.choices):
            for option in range(len(choice.options)):
                encoding = (*best[:i], option, *best[i + 1 :])
                yield (high_ms := price(encoding))
                if high_ms < fastest:
                    best, fastest, improved = encoding, high_ms, True


def _rounded_up(ms: float) -> float:
    """To three digits, not below."""
    step = 10.0 ** (np.floor(np.log10(ms)) - 2)
    return float(np.ceil(ms / step * (1 + 1e-9)) * step)
