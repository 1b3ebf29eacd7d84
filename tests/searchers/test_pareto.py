from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnas.latency.predictor import Estimate
from mnas.searchers.pareto import front, hypervolume, non_dominated
from mnas.searchers.trial import Trial
from tests.searchers.fakes import ToySpace

grid = st.lists(st.tuples(st.integers(0, 8), st.integers(1, 9)), max_size=25)
"""Accuracy in eighths and latency in ms, so that ties occur."""


def brute_force(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    kept = {(a, ms) for a, ms in points if not any((b >= a and m <= ms) and (b, m) != (a, ms) for b, m in points)}
    return sorted(kept, key=lambda point: point[1])


@given(grid)
def test_non_dominated_is_what_brute_force_finds(points: list[tuple[int, int]]) -> None:
    indices = non_dominated(points)
    assert [points[i] for i in indices] == brute_force(points)
    assert all(points.index(points[i]) == i for i in indices)


@given(grid)
def test_hypervolume_is_the_number_of_dominated_cells(points: list[tuple[int, int]]) -> None:
    cells = sum(any(a > column and ms <= row for a, ms in points) for column in range(1, 8) for row in range(1, 8))
    assert hypervolume(points, (1, 8)) == pytest.approx(cells)


def trial(index: int, accuracy: float | None, ms: float) -> Trial:
    status = "infeasible" if accuracy is None else "trained"
    network = ToySpace().decode((0, 0, 0, 0))
    return Trial(index, (0, 0, 0, 0), network, accuracy, Estimate(ms, ms, ms), 0.1, 0, status)  # type: ignore[arg-type]


def test_front_leaves_out_what_has_no_accuracy_and_keeps_the_first_of_equals() -> None:
    trials = [
        trial(0, 0.5, 2),
        trial(1, 0.7, 3),
        trial(2, 0.5, 2),
        trial(3, None, 1),
        trial(4, 0.6, 4),
        trial(5, 0.4, 1),
    ]
    assert [each.index for each in front(trials)] == [5, 0, 1]
    assert front([]) == ()
    assert hypervolume(np.zeros((0, 2)), (0, 1)) == 0
