"""Searchers on a table of results: `python -m benchmarks.search_quality --table FILE --accuracy COLUMN --latency A,B`.

The table is a CSV of NAS-Bench-201 cells: a column `arch`, one digit an edge, accuracy columns in percent and latency
columns in ms. Every search is the one of `mnas search`, but networks cost their measured latency and score their
measured accuracy. It goes on to the largest budget; what it had after fewer evaluations is read off its trials.

    regret                  highest reward of the table's networks within the target, less that of those evaluated
    best_feasible_accuracy  of the evaluated network of the highest reward, 0..1
    hypervolume             area in accuracy x ms that evaluated networks dominate, down to accuracy 0 and the target
    landing                 latency of that network by the target
    unique                  evaluations so far; fewer than the budget where nothing new was proposed for too long

A searcher is `NAME` or `NAME:option=value:...`; `default` is what mnas takes when none is named. Writes a CSV and,
beside it, a plot.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from numpy.typing import NDArray

from mnas.errors import ConfigError, MnasError
from mnas.evaluate import Outcome, read_results
from mnas.files import write_text
from mnas.ir import Architecture, Shape
from mnas.latency import Estimate
from mnas.searchers import Objective, SearchConfig, Trial, hypervolume, make_reward, make_searcher
from mnas.searchers.config import parse_setting
from mnas.searchers.loop import search
from mnas.spaces import Encoding, SearchSpace, arity
from mnas.spaces.nasbench201 import NasBench201Space

RESULTS = Path(__file__).parent / "results"
SEARCHERS = "default,reinforce,reinforce:policy=factored,ppo,evolution,local,random,optuna"
CASE = ["table", "accuracy", "latency", "target_ms", "reward"]
FIGURES = ["regret", "best_feasible_accuracy", "hypervolume", "landing", "unique"]
SMALLEST_MS = 1e-6
"""Stands for latencies that a table rounds to 0."""


class Case(NamedTuple):
    """What is searched: columns of a table, and what for."""

    table: Path
    accuracy: str
    latency: str
    target_ms: float
    reward: str


class Recorded:
    """A table of results in the roles of latency model and executor; the networks it decodes are remembered.

    They have one cell a stage: what is looked up needs no more.
    """

    def __init__(self, case: Case) -> None:
        self._cells: SearchSpace = NasBench201Space(case.table.name, Shape(3, 32, 32), 10, cells=1)
        self.rows = read_results(case.table, (case.accuracy, case.latency), arity(self._cells).tolist())
        self.name, self.x, self.classes = self._cells.name, self._cells.x, self._cells.classes
        self.choices = self._cells.choices
        self._networks: dict[Encoding, Architecture] = {}
        self._encodings: dict[Architecture, Encoding] = {}
        self.placements = self._cells.placements

    def decode(self, encoding: Encoding) -> Architecture:
        """As `SearchSpace`."""
        if encoding not in self._networks:
            network = self._networks[encoding] = self._cells.decode(encoding)
            self._encodings[network] = encoding
        return self._networks[encoding]

    def predict(self, architecture: Architecture) -> Estimate:
        """As `LatencyModel`."""
        ms = max(SMALLEST_MS, self.rows[self._encodings[architecture]][1])
        return Estimate(ms, ms, ms)

    def predict_batch(self, space: SearchSpace, encodings: NDArray[np.int64]) -> NDArray[np.float64]:
        """As `LatencyModel`."""
        return np.array([self.predict(space.decode(tuple(encoding))).ms for encoding in encodings.tolist()])

    def map(self, jobs: Sequence[tuple[Architecture, int]]) -> Iterator[Outcome]:
        """As `Executor`."""
        for architecture, _ in jobs:
            yield Outcome(self.rows[self._encodings[architecture]][0] / 100, None, 0.0)


def results(case: Case, searcher: str, budgets: Sequence[int], batch: int, seeds: Sequence[int]) -> pd.DataFrame:
    """Search with every seed; a row for every seed and budget."""
    recorded = Recorded(case)
    reward = make_reward(case.reward, case.target_ms)
    objective = Objective(recorded, recorded, reward, case.target_ms, spellings=True)
    percent, ms = np.array(list(recorded.rows.values())).T
    within = ms <= case.target_ms
    if not within.any():
        raise ConfigError(
            f"no network of {case.table} is within {case.target_ms:g} ms: the fastest has {ms.min():g} ms"
        )
    optimum = float(reward(percent[within] / 100, np.maximum(ms[within], SMALLEST_MS)).max())
    name, options = parse_searcher(searcher)
    rows = []
    for seed in seeds:
        found = search(
            objective, make_searcher(name, recorded, seed, options, objective), recorded,
            trials=max(budgets), batch=batch, seed=seed,
        )  # fmt: skip
        evaluated = [trial for trial in found.trials if trial.status == "trained"]
        for budget in budgets:
            named = dict(zip(CASE, (case.table.name, *case[1:]), strict=True))
            rows.append(
                named
                | {"searcher": searcher, "seed": seed, "budget": budget}
                | figures(evaluated[:budget], case, optimum)
            )
    return pd.DataFrame(rows)


def figures(evaluated: Sequence[Trial], case: Case, optimum: float) -> dict[str, float]:
    """What was found after these evaluations; a search that came to none has the regret of a reward of 0."""
    if not evaluated:
        return dict(zip(FIGURES, (optimum, 0.0, 0.0, np.nan, 0), strict=True))
    best = max(evaluated, key=lambda trial: trial.reward)
    points = [(trial.accuracy or 0.0, trial.latency.ms) for trial in evaluated]
    return {
        "regret": optimum - best.reward,
        "best_feasible_accuracy": best.accuracy or 0.0,
        "hypervolume": hypervolume(points, (0.0, case.target_ms)),
        "landing": best.latency.ms / case.target_ms,
        "unique": len(evaluated),
    }


def parse_searcher(text: str) -> tuple[str, dict[str, object]]:
    """Read `NAME:option=value:...`."""
    name, *options = text.split(":")
    if name == "default":
        name = SearchConfig.model_fields["searcher"].default
    pairs = [option.partition("=") for option in options]
    return name, {key: parse_setting(value) for key, _, value in pairs}


def summary(result: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard error of regret over seeds, mean of the rest, for every case, searcher and budget."""
    groups = result.groupby([*CASE[2:], "searcher", "budget"], sort=False)
    means = groups[FIGURES].mean()
    means.insert(1, "standard_error", groups["regret"].sem())
    means.insert(0, "seeds", groups.size())
    return means


def plot(result: pd.DataFrame, path: Path) -> None:
    """Draw regret against evaluations, one panel a case."""
    mpl.use("svg")
    cases = list(result.groupby(CASE, sort=False))
    figure, axes = plt.subplots(1, len(cases), figsize=(4.2 * len(cases), 4.4), squeeze=False, layout="constrained")
    for axis, (names, rows) in zip(axes[0], cases, strict=True):
        for searcher, own in rows.groupby("searcher", sort=False):
            each = own.groupby("budget")["regret"]
            mean, error = each.mean(), each.sem().fillna(0.0)
            (line,) = axis.plot(mean.index, mean, label=str(searcher), marker=".")
            axis.fill_between(mean.index, mean - error, mean + error, color=line.get_color(), alpha=0.15, lw=0)
        axis.set(title=f"{names[2]}, target {names[3]:g} ms, {names[4]}", xlabel="evaluations", ylim=(0, None))
    axes[0, 0].set_ylabel("regret (reward), mean and standard error")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})
    plt.close(figure)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--accuracy", required=True, help="column, in percent")
    parser.add_argument("--latency", required=True, help="column, in ms; or several, by commas")
    parser.add_argument("--target", required=True, help="ms; as many as columns, by commas")
    parser.add_argument("--reward", default="asymmetric,absolute", help="names, by commas")
    parser.add_argument("--searchers", default=SEARCHERS, help="by commas")
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--budgets", default="50,100,150,200,300,500", help="evaluations, by commas")
    parser.add_argument("--batch", type=int, default=SearchConfig.model_fields["batch"].default)
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--out", type=Path, default=RESULTS / "search_quality.csv")
    return parser.parse_args()


def main() -> None:
    """Search, print and write."""
    given = arguments()
    latencies, targets = given.latency.split(","), [float(target) for target in given.target.split(",")]
    if len(latencies) != len(targets):
        raise ConfigError(f"{len(latencies)} latency columns need as many targets, got {len(targets)}")
    cases = [
        Case(given.table, given.accuracy, latency, target, reward)
        for (latency, target), reward in product(zip(latencies, targets, strict=True), given.reward.split(","))
    ]
    searchers, budgets = given.searchers.split(","), sorted(int(budget) for budget in given.budgets.split(","))
    seeds = [list(range(start, given.seeds, given.workers)) for start in range(min(given.workers, given.seeds))]
    jobs = list(product(cases, searchers, seeds))
    with ProcessPoolExecutor(given.workers) as pool:
        parts = []
        run = partial(_results, budgets=budgets, batch=given.batch)
        for done, part in enumerate(pool.map(run, jobs), start=1):
            parts.append(part)
            print(f"\r{done} of {len(jobs)} jobs", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    searches = [pd.concat(parts[i : i + len(seeds)]) for i in range(0, len(parts), len(seeds))]
    result = pd.concat([each.sort_values(["seed", "budget"]) for each in searches])
    with pd.option_context("display.width", 200, "display.max_rows", None):
        print(summary(result).round(4).to_string())
    write_text(given.out, result.to_csv(index=False, float_format="%.6g"))
    plot(result, given.out)


def _results(job: tuple[Case, str, list[int]], budgets: Sequence[int], batch: int) -> pd.DataFrame:
    case, searcher, seeds = job
    return results(case, searcher, budgets, batch, seeds)


if __name__ == "__main__":
    try:
        main()
    except MnasError as error:
        sys.exit(f"search_quality: {error}")
