from __future__ import annotations

from collections import deque

import numpy as np
import pytest

from mnas.errors import ConfigError
from mnas.searchers.evolution import Evolution
from mnas.searchers.searcher import generator
from mnas.spaces import Encoding, mutate, sample, space
from tests.searchers.fakes import ToySpace

SMALL = space("mnasnet-small")


def fitness(encoding: Encoding) -> float:
    return sum(i * (value == 1) for i, value in enumerate(encoding)) / 100


def published(seed: int, cycles: int, population_size: int, sample_size: int) -> list[Encoding]:
    """Algorithm 1 of arXiv:1802.01548, line by line."""
    population: deque[tuple[Encoding, float]] = deque()
    history: list[Encoding] = []
    while len(population) < population_size:
        rng = generator(seed, len(history))
        model = tuple(sample(SMALL, rng, 1)[0].tolist())
        population.append((model, fitness(model)))
        history.append(model)
    while len(history) < cycles:
        rng = generator(seed, len(history))
        competitors = [population[int(i)] for i in rng.integers(len(population), size=sample_size)]
        parent = max(competitors, key=lambda each: each[1])[0]
        child = mutate(SMALL, parent, rng)
        population.append((child, fitness(child)))
        history.append(child)
        population.popleft()
    return history


@pytest.mark.parametrize(("population", "tournament"), [(20, 5), (5, 2), (1, 1)])
def test_one_at_a_time_it_is_the_published_algorithm(population: int, tournament: int) -> None:
    searcher = Evolution(SMALL, 3, population=population, tournament=tournament)
    history = []
    for _ in range(120):
        (encoding,) = searcher.ask(1)
        searcher.tell([encoding], [fitness(encoding)])
        history.append(encoding)
    assert history == published(3, 120, population, tournament)


def test_the_parent_wins_a_tournament_drawn_with_replacement() -> None:
    """Of p members the one of rank r (0 is best) is the parent with probability ((p-r)/p)**t - ((p-r-1)/p)**t."""
    toy = ToySpace((40,) * 10, twins=False)
    members = [(4 * i,) * 10 for i in range(4)]
    searcher = Evolution(toy, 0, population=4, tournament=2)
    searcher.tell(members, [0.1, 0.2, 0.3, 0.4])
    children = searcher.ask(4000)
    parents = [max(set(child), key=child.count) // 4 for child in children]
    share = np.bincount(parents, minlength=4) / len(parents)
    np.testing.assert_allclose(share, [1 / 16, 3 / 16, 5 / 16, 7 / 16], atol=0.03)


def test_children_differ_from_a_living_parent_in_one_choice_and_the_oldest_die() -> None:
    searcher = Evolution(SMALL, 0, population=4, tournament=4)
    old, alive = searcher.ask(4), [tuple(row) for row in np.tile([[0], [1]], 20).tolist()] * 2
    searcher.tell(old, [1.0] * 4)
    searcher.tell(alive, [0.1] * 4)
    for child in searcher.ask(50):
        assert min(sum(a != b for a, b in zip(child, parent, strict=True)) for parent in alive) == 1


def test_a_batch_is_random_until_the_population_is_full() -> None:
    searcher = Evolution(SMALL, 5, population=10)
    first = searcher.ask(6)
    searcher.tell(first, [0.5] * 6)
    batch = searcher.ask(8)
    distances = [min(sum(a != b for a, b in zip(e, p, strict=True)) for p in first) for e in batch]
    assert min(distances[:4]) > 1
    assert distances[4:] == [1] * 4


def test_a_space_of_one_network_is_refused() -> None:
    with pytest.raises(ConfigError, match="one network only"):
        Evolution(ToySpace((1, 1)), 0)


@pytest.mark.parametrize("options", [{"population": 0}, {"tournament": 0}])
def test_sizes_are_positive(options: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        Evolution(SMALL, 0, **options)
