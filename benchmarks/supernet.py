"""What a step of shared weights takes, by one thread and by more: `python -m benchmarks.supernet`.

Steps of the default settings, for the same networks and random images, in wall time: two trainings take them in turn,
one by one thread, the other by `--workers`; who is first alternates. A ratio is of two such steps. Writes
benchmarks/results/supernet_steps.csv.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from mnas.evaluate.oneshot import SharedNetwork, SupernetSettings
from mnas.evaluate.oneshot.training import Trainer, together
from mnas.evaluate.training import threads
from mnas.files import write_text
from mnas.spaces import space

RESULTS = Path(__file__).parent / "results"
SIZES = (14, 28)
"""Of the images, in pixels."""
WARM = 15
"""Steps that are left out: kernels for the shapes of convolutions are made in the first ones."""


def seconds(name: str, size: int, rounds: int, workers: int) -> pd.DataFrame:
    """Wall seconds of steps: a row a round, a column a number of threads."""
    searched, settings, steps = space(name, image_size=size), SupernetSettings(), rounds + WARM
    generator, rows = torch.Generator().manual_seed(0), []
    with together(workers, "cpu") as pool:
        trainers = {
            1: Trainer(SharedNetwork(searched, 0), settings, steps),
            workers: Trainer(SharedNetwork(searched, 0), settings, steps, pool),
        }
        for step in range(steps):
            images = torch.randn(settings.batch, *searched.x, generator=generator)
            images = images.to(memory_format=torch.channels_last)
            labels = torch.randint(0, searched.classes, (settings.batch,), generator=generator)
            row = {}
            for n in sorted(trainers, reverse=step % 2 == 1):
                trainer, rng = trainers[n], np.random.default_rng(step)
                drawn = [trainer.network.chain.draw(rng) for _ in range(settings.networks)]
                start = time.perf_counter()
                trainer.train(drawn, images, labels, rng)
                row[n] = time.perf_counter() - start
            rows.append(row)
    return pd.DataFrame(rows[WARM:])


def main() -> None:
    """Time, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--space", default="mnasnet-small")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=100)
    given = parser.parse_args()
    if given.workers < 2:
        parser.error("--workers must be at least 2")
    rows = []
    for size in SIZES:
        with threads(1):
            took = seconds(given.space, size, given.rounds, given.workers)
        ratio = took[1] / took[given.workers]
        rows.append(
            {
                "space": given.space,
                "image_size": size,
                "workers": given.workers,
                "one_s": took[1].mean(),
                "workers_s": took[given.workers].mean(),
                "ratio_of_sums": took[1].sum() / took[given.workers].sum(),
                "ratio_p10": ratio.quantile(0.1),
                "ratio_p90": ratio.quantile(0.9),
                "rounds": given.rounds,
            }
        )
        print(rows[-1], flush=True)
    RESULTS.mkdir(exist_ok=True)
    write_text(RESULTS / "supernet_steps.csv", pd.DataFrame(rows).to_csv(index=False, float_format="%.4g"))


if __name__ == "__main__":
    main()
