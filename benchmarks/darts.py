"""What a step of DARTS costs, and what a small search finds: `python -m benchmarks.darts step|search`.

`step` times steps of both orders on the same supernet and batches, alternating, in CPU time of one thread; a step moves
the decisions and the weights. Writes benchmarks/results/darts_steps.csv. `search` searches darts-small on Fashion-MNIST
within some minutes, and trains the genotype found and random ones alike. Writes benchmarks/results/darts_search.csv.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mnas.evaluate import ProxyEvaluator
from mnas.evaluate.supernet import Batch, Order, Rates, RelaxedNetwork
from mnas.evaluate.training import threads
from mnas.searchers import DartsSettings, darts
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


def compare(settings: DartsSettings, evaluator: ProxyEvaluator, others: int, seed: int) -> pd.DataFrame:
    """Accuracies of the genotype found and of random ones, trained alike; no latency in the search."""
    small = space("darts-small")
    assert isinstance(small, RelaxedSpace)
    start = time.perf_counter()
    found = darts(small, evaluator.data, settings=settings, seed=seed, report=lambda epoch: print(epoch.summary()))
    seconds = time.perf_counter() - start
    drawn: list[Encoding] = [tuple(e) for e in sample(small, np.random.default_rng(seed), others).tolist()]
    rows = []
    for name, encoding in [("found", found), *((f"random {i}", each) for i, each in enumerate(drawn))]:
        network = small.decode(encoding)
        rows.append(
            {
                "network": name,
                "accuracy": evaluator(network, seed),
                "parameters": network.cost.params,
                "macs": network.cost.macs,
                "identity_share": small.identity_share(encoding),
                "search_s": seconds if name == "found" else 0.0,
                "encoding": " ".join(map(str, encoding)),
            }
        )
        print(rows[-1], flush=True)
    return pd.DataFrame(rows)


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
    parser.add_argument("--train-images", type=int, default=4000)
    parser.add_argument("--train-epochs", type=int, default=6)
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
        evaluator = ProxyEvaluator("fashion-mnist", images=given.train_images, epochs=given.train_epochs)
        found = compare(settings, evaluator, given.others, given.seed)
        found.to_csv(RESULTS / "darts_search.csv", index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
