"""What a step of DARTS costs, and what a small search finds: `python -m benchmarks.darts step|search`.

`step` times steps of both orders on the same supernet and batches, alternating, in CPU time of one thread; a step moves
the decisions and the weights. Writes benchmarks/results/darts_steps.csv. `search` searches darts-small on Fashion-MNIST
within some minutes, without regard to latency, and trains the genotype found and random ones alike. Writes
benchmarks/results/darts_search.csv, a row a network as it is known; the same command does not train it again.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from mnas.errors import MnasError
from mnas.evaluate import ProxyEvaluator
from mnas.evaluate.supernet import Order, Rates, RelaxedNetwork
from mnas.evaluate.training import Batch, threads
from mnas.files import write_text
from mnas.searchers import DartsSettings, darts
from mnas.searchers.gradients import Epoch
from mnas.spaces import Encoding, RelaxedSpace, sample, space

RESULTS = Path(__file__).parent / "results"
STEPS = (("darts-small", None, None, 64), ("darts", 8, 16, 8), ("mnasnet-small", None, None, 32))
"""Space, cells, channels and batch: the small default, the paper's supernet, and a space of MBConv."""
ORDERS: tuple[Order, ...] = ("first", "second")


def batch(relaxed: RelaxedSpace, n: int, seed: int) -> Batch:
    """Random images and labels."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(n, *relaxed.x, generator=generator).to(memory_format=torch.channels_last)
    return Batch(images, torch.randint(0, relaxed.classes, (n,), generator=generator))


def step_seconds(name: str, cells: int | None, channels: int | None, n: int, rounds: int) -> pd.DataFrame:
    """CPU seconds of steps: a row a round, a column an order; the first round warms up and is left out."""
    relaxed = space(name)
    assert isinstance(relaxed, RelaxedSpace)
    model = RelaxedNetwork(relaxed.relax(cells, channels), Rates())
    training, validation = batch(relaxed, n, 0), batch(relaxed, n, 1)
    rows = []
    for _ in range(rounds + 1):
        row = {}
        for order in ORDERS:
            start = time.process_time()
            model.step(training, validation, lr=0.01, order=order)
            row[order] = time.process_time() - start
        rows.append(row)
    return pd.DataFrame(rows[1:])


def steps(rounds: int) -> pd.DataFrame:
    """A row a supernet."""
    rows = []
    for name, cells, channels, n in STEPS:
        seconds = step_seconds(name, cells, channels, n, rounds)
        ratio = seconds["second"] / seconds["first"]
        rows.append(
            {
                "space": name,
                "cells": cells,
                "channels": channels,
                "batch": n,
                "first_s": seconds["first"].median(),
                "second_s": seconds["second"].median(),
                "ratio": ratio.median(),
                "ratio_p10": ratio.quantile(0.1),
                "ratio_p90": ratio.quantile(0.9),
                "rounds": rounds,
            }
        )
        print(rows[-1], flush=True)
    return pd.DataFrame(rows)


def compare(settings: DartsSettings, evaluator: ProxyEvaluator, others: int, seed: int, out: Path) -> pd.DataFrame:
    """Accuracies of the genotype found and of random ones, trained alike: a row a network, in `out` as it is known."""
    small = space("darts-small")
    assert isinstance(small, RelaxedSpace)
    drawn: list[Encoding] = [tuple(e) for e in sample(small, np.random.default_rng(seed), others).tolist()]
    searched, trained = f"{settings} seed={seed}", f"{evaluator} seed={seed}"
    jobs = [("found", None, searched + trained), *((f"random {i}", each, trained) for i, each in enumerate(drawn))]
    rows: list[dict[Any, Any]] = pd.read_csv(out).to_dict("records") if out.exists() else []
    rows = [row for row in rows if (row["network"], row["settings"]) in {(name, how) for name, _, how in jobs}]
    for name, encoding, how in jobs:
        if name in {row["network"] for row in rows}:
            continue
        start = time.perf_counter()
        chosen = encoding or darts(small, evaluator.data, settings=settings, seed=seed, report=told)
        seconds, network = time.perf_counter() - start, small.decode(chosen)
        rows.append(
            {
                "network": name,
                "accuracy": evaluator(network, seed),
                "parameters": network.cost.params,
                "macs": network.cost.macs,
                "identity_share": small.identity_share(chosen),
                "search_s": 0.0 if encoding else seconds,
                "encoding": " ".join(map(str, chosen)),
                "settings": how,
            }
        )
        print(rows[-1], flush=True)
        write_text(out, pd.DataFrame(rows).to_csv(index=False, float_format="%.5g"))
    return pd.DataFrame(rows)


def told(epoch: Epoch) -> None:
    """Print how the search stands."""
    print(f"epoch {epoch.epoch}  {epoch.summary()}", flush=True)


def main() -> None:
    """Run one of the two and write its results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("step", "search"))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--order", choices=ORDERS, default="first")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--alpha-lr", type=float, default=3e-3)
    parser.add_argument("--others", type=int, default=8)
    parser.add_argument("--train-images", type=int, default=8000)
    parser.add_argument("--train-epochs", type=int, default=8)
    parser.add_argument("--out", type=Path, default=RESULTS / "darts_search.csv")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    with threads(1):
        if given.what == "step":
            steps(given.rounds).to_csv(RESULTS / "darts_steps.csv", index=False, float_format="%.4g")
            return
        settings = DartsSettings(
            order=given.order, epochs=given.epochs, images=given.images, alpha_lr=given.alpha_lr, land=False
        )
        evaluator = ProxyEvaluator(
            "fashion-mnist", images=given.train_images, epochs=given.train_epochs, batch=32, lr=0.05, validation=5000
        )
        rows = compare(settings, evaluator, given.others, given.seed, given.out)
        accuracy = rows.set_index("network").accuracy
        others = accuracy.drop("found")
        print(
            f"found {accuracy['found']:.4f}, random {others.mean():.4f} +- {others.std():.4f} (max {others.max():.4f})"
        )


if __name__ == "__main__":
    try:
        main()
    except MnasError as error:
        sys.exit(f"darts: {error}")
