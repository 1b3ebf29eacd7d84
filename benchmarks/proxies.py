"""How well what is cheap ranks networks: `python -m benchmarks.proxies`.

Networks of a space, half of them drawn to span it and half uniformly, are trained long, with several seeds, and are
judged by every cheap proxy, with the same seeds. A correlation is that of a proxy of one seed with the longer training
of another seed, averaged over all such pairs. So is the first row, `longer training`, which is that of two longer
trainings: a ceiling, because what no other training repeats no proxy can foretell. CPU-seconds are medians per network.
Writes benchmarks/results/proxies.csv.

`--also NAME:option=value:...` adds an evaluator of mnas as a proxy, such as `supernet`. Its weights are trained first,
once a seed; every network's seconds have an equal share of that.

With `--table FILE --accuracy COLUMN` networks are cells of NAS-Bench-201 from a table of results (a column `arch`, one
digit an edge, and accuracies in percent), untrained, as the authors of NASWOT scored them: one minibatch of real
images, 32x32. Besides correlations it says what the best of N random cells by every score reaches, on average over
draws of N of those scored. Writes benchmarks/results/proxies_nasbench201.csv.

Every measurement is kept in a journal; the same command goes on in it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from itertools import permutations, product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mnas.errors import ConfigError, FormatError, MnasError
from mnas.evaluate import (
    Evaluator,
    Preparing,
    ProxyEvaluator,
    Recipe,
    ScoreEvaluator,
    adapt,
    dataset,
    read_results,
    scores,
)
from mnas.evaluate.training import Normalizer, accuracy, fit, recalibrate
from mnas.files import write_text
from mnas.ir import Architecture
from mnas.lower.torch import build
from mnas.searchers import make_config, make_evaluator
from mnas.searchers.config import parse_setting
from mnas.spaces import SearchSpace, arity, sample, sample_biased, space

RESULTS = Path(__file__).parent / "results"
LONG, SHORT, BLIND = "longer training", "1 epoch", "1 epoch, running statistics"
PREPARED = "prepared"
"""In place of a network: the work of an evaluator before all evaluations."""
WEIGHTS = Path("runs/proxies")
"""Where an evaluator keeps what it prepares."""
DRAWS = 2000
"""Draws of N cells over which the best is averaged."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Setup:
    """What decides every measurement.

    Attributes:
        data: data set.
        space: search space.
        image_size: in pixels.
        images: that the longer training sees.
        epochs: of the longer training.
        validation: images that score it.
        few: images that an epoch sees.
        batch: images of a score's minibatch.
    """

    data: str
    space: str
    image_size: int
    images: int
    epochs: int
    validation: int
    few: int
    batch: int


class Job(NamedTuple):
    """One measurement: a proxy (or several that come at once), the network's text or digits, and the seed."""

    proxy: str
    network: str
    seed: int


class Measured(NamedTuple):
    """What a proxy says of a network."""

    proxy: str
    network: str
    seed: int
    value: float
    cpu_seconds: float


def measure(setup: Setup, job: Job) -> list[Measured]:
    """Measure in this process, by one thread."""
    torch.set_num_threads(1)
    if job.network == PREPARED:
        start = time.process_time()
        another(setup, job.proxy, job.seed)
        return [Measured(job.proxy, PREPARED, job.seed, 0.0, time.process_time() - start)]
    architecture = network(setup, job.network)
    match job.proxy:
        case proxy if proxy == LONG:
            said = timed(LONG, partial(longer(setup), architecture, job.seed))
        case proxy if proxy == SHORT:
            said = one_epoch(setup, architecture, job.seed)
        case proxy if proxy in set(scores):
            batch = ScoreEvaluator(setup.data, images=setup.batch).minibatch(architecture)
            said = timed(proxy, partial(scores[proxy].of, architecture, job.seed, batch))
        case proxy:
            said = timed(proxy, partial(another(setup, proxy, job.seed), architecture, job.seed))
    return [Measured(name, job.network, job.seed, *each) for name, each in said.items()]


def network(setup: Setup, text: str) -> Architecture:
    """The network that a text or the digits of an encoding stand for; cells as they are spelled."""
    if "\n" in text:
        return Architecture.parse(text)
    cells = space(setup.space, image_size=setup.image_size)
    return cells.decode(tuple(map(int, text)))


def timed(name: str, work: Callable[[], float]) -> dict[str, tuple[float, float]]:
    """A number and the CPU-seconds it took."""
    start = time.process_time()
    value = work()
    return {name: (value, time.process_time() - start)}


def longer(setup: Setup) -> ProxyEvaluator:
    """What the proxies are judged by."""
    return ProxyEvaluator(setup.data, images=setup.images, epochs=setup.epochs, validation=setup.validation)


def one_epoch(setup: Setup, architecture: Architecture, seed: int) -> dict[str, tuple[float, float]]:
    """The proxy of a search cut to one epoch, scored with and without batch-norm recalibration."""
    whole = adapt(dataset(setup.data).for_search(), architecture.x)
    train, validation = whole.train.first(setup.few), whole.validation.first(setup.few)
    normalize = Normalizer(whole.mean, whole.std)
    start = time.process_time()
    trained = build(architecture, seed)
    fit(trained, train, Recipe(1, 16, 0.03, weight_decay=1e-4), normalize, seed=seed)
    training = time.process_time() - start
    blind = timed(BLIND, lambda: accuracy(trained, validation, normalize))
    start = time.process_time()
    recalibrate(trained, train, normalize)
    recalibrating = time.process_time() - start
    short = timed(SHORT, lambda: accuracy(trained, validation, normalize))
    (value, seconds), (other, its_seconds) = blind[BLIND], short[SHORT]
    return {BLIND: (value, training + seconds), SHORT: (other, training + recalibrating + its_seconds)}


@lru_cache
def another(setup: Setup, text: str, seed: int) -> Evaluator:
    """The evaluator that `NAME:option=value:...` names, prepared with a seed, in a folder of its own."""
    name, *options = text.split(":")
    pairs = [option.partition("=") for option in options]
    made = {
        "space": setup.space, "image_size": setup.image_size, "data": setup.data, "table": "none", "target_ms": 1.0,
        "evaluator": name, "evaluator_options": {key: parse_setting(value) for key, _, value in pairs}, "seed": seed,
    }  # fmt: skip
    evaluator = make_evaluator(make_config(made))
    folder = WEIGHTS / re.sub(r"[^\w.=-]", "_", text) / str(seed)
    return evaluator.prepare(folder, told) if isinstance(evaluator, Preparing) else evaluator


def told(done: int, total: int, note: str) -> None:
    """Print how far a preparation is."""
    print(f"\r{done} of {total}: {note:30}", end="", file=sys.stderr, flush=True)


def measurements(setup: Setup, jobs: Sequence[Job], journal: Path, workers: int) -> pd.DataFrame:
    """Measure what the journal lacks, and give all that was asked for."""
    known = recall(setup, journal)
    missing = [job for job in jobs if job not in known]
    journal.parent.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(workers) as pool, journal.open("a", encoding="utf-8") as file:
        if not file.tell():
            file.write(json.dumps(asdict(setup)) + "\n")
        for done, (job, rows) in enumerate(zip(missing, pool.map(partial(measure, setup), missing), strict=True), 1):
            known[job] = rows
            file.write(json.dumps([job, rows]) + "\n")
            file.flush()
            told(done, len(missing), job.proxy)
    print(file=sys.stderr)
    return pd.DataFrame([row._asdict() for job in jobs for row in known[job]])


def recall(setup: Setup, journal: Path) -> dict[Job, list[Measured]]:
    """Read what was measured before; a line that was cut off does not count and goes."""
    if not journal.exists():
        return {}
    whole = journal.read_text(encoding="utf-8")
    lines = whole[: whole.rfind("\n") + 1].splitlines()
    write_text(journal, "".join(f"{line}\n" for line in lines))
    if not lines:
        return {}
    if json.loads(lines[0]) != asdict(setup):
        raise FormatError(f"{journal} holds measurements of other settings, {lines[0]}: name another --journal")
    pairs: Iterable[Any] = map(json.loads, lines[1:])
    return {Job(*job): [Measured(*row) for row in rows] for job, rows in pairs}


def correlations(measured: pd.DataFrame) -> pd.DataFrame:
    """One line a proxy: how it ranks networks as a longer training of another seed does."""
    out = []
    truth = measured[measured.proxy == LONG].pivot_table(index="network", columns="seed", values="value")
    for proxy, rows in measured.groupby("proxy", sort=False):
        said = rows.pivot_table(index="network", columns="seed", values="value").loc[truth.index]
        pairs = [(said[one], truth[other]) for one, other in permutations(truth.columns, 2)]
        out.append(line(str(proxy), rows, pairs) | {"seeds": truth.shape[1]})
    return pd.DataFrame(out)


def line(proxy: str, rows: pd.DataFrame, pairs: Sequence[tuple[pd.Series, pd.Series]]) -> dict[str, object]:
    """Mean correlations of pairs of columns."""
    return {
        "proxy": proxy,
        "spearman": np.mean([one.corr(other, "spearman") for one, other in pairs]),
        "kendall": np.mean([one.corr(other, "kendall") for one, other in pairs]),
        "cpu_seconds": rows.cpu_seconds.median(),
        "networks": rows.network.nunique(),
    }


def best_of(said: pd.DataFrame, truth: pd.Series, sizes: Sequence[int]) -> Iterator[dict[str, object]]:
    """What the best of `n` random cells by every score reaches, in percent: mean and deviation over draws."""
    rng = np.random.default_rng(0)
    percent = truth.to_numpy(np.float64)
    drawn = {n: [rng.choice(len(truth), n, replace=False) for _ in range(DRAWS)] for n in sizes if n <= len(truth)}
    for proxy in said.columns:
        values = said[proxy].to_numpy(np.float64)
        reached = {n: percent[[some[values[some].argmax()] for some in draws]] for n, draws in drawn.items()}
        yield {"proxy": proxy} | {
            key: value
            for n, each in reached.items()
            for key, value in ((f"best_of_{n}_percent", each.mean()), (f"best_of_{n}_sd", each.std()))
        }


def ranked(given: argparse.Namespace) -> pd.DataFrame:
    """Proxies against longer training, on networks of the space."""
    setup = Setup(
        given.data, given.space, given.image_size, given.images, given.epochs, given.validation, given.few, given.batch
    )
    channels, classes = dataset(given.data).shape.c, len(dataset(given.data).classes)
    searched = space(given.space, classes=classes, image_size=given.image_size, channels=channels)
    journal = given.journal or Path("runs/proxies.jsonl")
    networks = list(dict.fromkeys(text for draw in given.draws for text in drawn(searched, given.networks, draw)))
    preparing = [Job(name, PREPARED, seed) for name in given.also for seed in range(given.seeds)]
    first = measurements(setup, preparing, journal, given.workers)
    jobs = [Job(*each) for each in product([LONG, SHORT, *scores, *given.also], networks, range(given.seeds))]
    measured = measurements(setup, jobs, journal, given.workers)
    shares = first.groupby("proxy").cpu_seconds.mean() / len(networks) if len(first) else pd.Series(dtype=float)
    return correlations(measured.assign(cpu_seconds=measured.cpu_seconds + measured.proxy.map(shares).fillna(0.0)))


def drawn(searched: SearchSpace, n: int, seed: int = 0) -> list[str]:
    """Texts of `n` networks, each once: half of them uniform draws, half spanning the space."""
    texts: dict[str, None] = {}
    for draw, wanted in ((sample, n // 2), (sample_biased, n)):
        for encoding in draw(searched, np.random.default_rng(seed), 4 * n).tolist():
            if len(texts) < wanted:
                texts[str(searched.decode(tuple(encoding)).canonical())] = None
    if len(texts) < n:
        raise ConfigError(f"space {searched.name} gave {len(texts)} networks, not {n}")
    return list(texts)


def tabulated(given: argparse.Namespace) -> pd.DataFrame:
    """Scores against the accuracies of a table of NAS-Bench-201 cells."""
    setup = Setup(given.data, "nasbench201", 32, given.images, given.epochs, given.validation, given.few, given.batch)
    cells = space(setup.space)
    table = read_results(given.table, (given.accuracy,), arity(cells).tolist())
    some = np.random.default_rng(0).choice(len(table), min(given.cells, len(table)), replace=False)
    chosen = [list(table)[i] for i in some]
    digits = ["".join(map(str, encoding)) for encoding in chosen]
    jobs = [Job(*each) for each in product(given.scores.split(","), digits, range(given.seeds))]
    journal = given.journal or Path("runs/proxies_nasbench201.jsonl")
    measured = measurements(setup, jobs, journal, given.workers)
    truth = pd.Series([table[encoding][0] for encoding in chosen], digits)
    lines = []
    for proxy, rows in measured.groupby("proxy", sort=False):
        said = rows.pivot_table(index="network", columns="seed", values="value").loc[digits]
        lines.append(line(str(proxy), rows, [(said[seed], truth) for seed in said]) | {"seeds": given.seeds})
    first = measured[measured.seed == 0].pivot_table(index="network", columns="proxy", values="value").loc[digits]
    first["random"], first["oracle"] = np.random.default_rng(1).random(len(first)), truth
    return pd.DataFrame(lines).merge(
        pd.DataFrame(best_of(first, truth, (10, 100))), on="proxy", how="outer", sort=False
    )


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--space", default="mnasnet-small")
    parser.add_argument("--image-size", type=int, default=14, help="of the networks that are trained")
    parser.add_argument("--networks", type=int, default=32, help="of a draw")
    parser.add_argument(
        "--draws", type=int, nargs="+", default=[0, 1], help="numbers, each of which gives other networks"
    )
    parser.add_argument("--seeds", type=int, help="2, and 1 with --table")
    parser.add_argument("--images", type=int, default=3000, help="that the longer training sees")
    parser.add_argument("--epochs", type=int, default=6, help="of the longer training")
    parser.add_argument("--validation", type=int, default=20000, help="images that score the longer training")
    parser.add_argument("--few", type=int, default=2000, help="images that one epoch sees")
    parser.add_argument("--batch", type=int, default=128, help="images of a score's minibatch")
    parser.add_argument("--also", action="append", default=[], metavar="NAME:option=value", help="one more evaluator")
    parser.add_argument("--table", type=Path, help="table of NAS-Bench-201 cells")
    parser.add_argument("--accuracy", help="its column, in percent")
    parser.add_argument("--cells", type=int, default=500, help="of the table, at random")
    parser.add_argument("--scores", default="naswot,macs,parameters", help="for cells, by commas")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--journal", type=Path, help="where measurements are kept; in runs/ if not given")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if (given.table is None) != (given.accuracy is None):
        parser.error("--table and --accuracy go together")
    given.seeds = given.seeds or (1 if given.table else 2)
    if given.table is None and given.seeds < 2:
        parser.error("a ceiling takes at least 2 seeds")
    return given


def main() -> None:
    """Measure, print and write."""
    given = arguments()
    result = tabulated(given) if given.table else ranked(given)
    print(result.round(4).to_string(index=False))
    out = given.out or RESULTS / ("proxies_nasbench201.csv" if given.table else "proxies.csv")
    write_text(out, result.to_csv(index=False, float_format="%.5g"))


if __name__ == "__main__":
    try:
        main()
    except MnasError as error:
        sys.exit(f"proxies: {error}")
