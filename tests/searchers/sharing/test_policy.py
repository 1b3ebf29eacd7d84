from __future__ import annotations

import numpy as np

from mnas.searchers.sharing.policy import Likeliest
from tests.contracts import check_searcher
from tests.searchers.fakes import ToySpace


def policy(space: ToySpace, seed: int = 0) -> Likeliest:
    return Likeliest(space, seed, lr=0.1, entropy=0.0, decay=0.9)


def test_it_keeps_to_the_role_of_a_searcher() -> None:
    check_searcher(lambda space, seed: Likeliest(space, seed, lr=0.1, entropy=0.1, decay=0.9), ToySpace())


def test_it_ends_with_what_was_rewarded() -> None:
    space = ToySpace()
    learner = policy(space)
    for _ in range(200):
        asked = learner.ask(4)
        learner.tell(asked, [float(encoding[0] == 1) - encoding[1] for encoding in asked])
    best = learner.likeliest(lambda encoding: True)
    assert best[:2] == (1, 0)
    other = learner.likeliest(lambda encoding: encoding[0] != 1)
    assert other[0] != 1
    assert other[1] == 0
    assert learner.likeliest(lambda encoding: False) == best


def test_draws_are_tried_from_the_likeliest_on() -> None:
    space = ToySpace()
    learner = policy(space)
    for _ in range(20):
        asked = learner.ask(4)
        learner.tell(asked, [float(sum(encoding)) for encoding in asked])
    p = learner._factored.probabilities()
    seen: list[float] = []

    def keep(encoding: tuple[int, ...]) -> bool:
        seen.append(float(np.prod(p[np.arange(len(encoding)), encoding])))
        return False

    learner.likeliest(keep)
    assert len(seen) > 20
    assert seen == sorted(seen, reverse=True)
