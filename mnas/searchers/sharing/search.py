"""TuNAS (arXiv:2008.06120) and ENAS (arXiv:1802.03268): weights that all networks share and a policy, trained in turn.

It is a function from images to an encoding, not a searcher: it asks for no evaluations.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mnas.evaluate import Dataset, SearchData, search_data
from mnas.evaluate.oneshot import SharedNetwork
from mnas.evaluate.oneshot.storage import StoredWeights, identify, load_weights
from mnas.evaluate.oneshot.training import Batches, Trainer, together
from mnas.evaluate.torch_device import check_torch_device
from mnas.evaluate.training import threads
from mnas.progress import Progress
from mnas.searchers.objective import Objective
from mnas.searchers.sharing.policy import Likeliest
from mnas.searchers.sharing.settings import TunasSettings
from mnas.spaces import Encoding

FILE = "tunas.pt"
"""Where the state of a search is kept."""
SAVE_SECONDS = 30.0
"""An interrupted search loses about so much work."""
_DRAWS = 2


def tunas(
    objective: Objective,
    data: str | Path | Dataset | SearchData,
    *,
    settings: TunasSettings | None = None,
    seed: int = 0,
    folder: str | Path | None = None,
    data_folder: str | Path | None = None,
    torch_device: str = "cpu",
    workers: int = 1,
    progress: Progress | None = None,
) -> Encoding:
    """Search by reinforcement learning over shared weights, and give the encoding that the policy ends with.

    At every step the policy is told the rewards of networks that it drew: the accuracy under the shared weights of a
    batch that does not train them, and the upper bound of the latency. Then the weights of other networks that it
    draws take a step. If the likeliest network is not within the target, the answer is the likeliest that is, of many
    draws.

    Args:
        objective: where and for what to search; the reward of the paper is the absolute one.
        data: name or path of a data set, or the data itself; only training images are looked at.
        settings: how to search; `TunasSettings()` if not given.
        seed: of everything random.
        folder: where `tunas.pt` is kept, from which an interrupted search goes on.
        data_folder: where the files of a named data set are, if not in their usual place.
        torch_device: where to train.
        workers: threads that train weights; they change the time, not the result.
        progress: told steps.

    Raises:
        ConfigError: a space whose networks cannot share, other classes than the data's, or a folder of another search.
        DataError: data that is missing or too small.
        EvaluationError: a loss is no longer a number.
        FormatError: the file is damaged.
    """
    check_torch_device(torch_device)
    with threads(1), together(workers, torch_device) as pool:
        search = _Search(objective, data, settings or TunasSettings(), seed, data_folder, torch_device, pool)
        return search.run(Path(folder) / FILE if folder else None, progress)


class _Search:
    """See `tunas`."""

    def __init__(
        self,
        objective: Objective,
        data: str | Path | Dataset | SearchData,
        settings: TunasSettings,
        seed: int,
        data_folder: str | Path | None,
        torch_device: str,
        pool: ThreadPoolExecutor | None,
    ) -> None:
        space = objective.space
        whole = search_data(data, space, folder=data_folder)
        half = min(settings.images, len(whole.train)) // 2
        self._halves = [
            Batches(
                replace(whole, train=whole.train.take(np.arange(i * half, (i + 1) * half))),
                space.x, half, settings.batch, seed, torch_device,
            )
            for i in range(2)
        ]  # fmt: skip
        self._steps = settings.epochs * self._halves[0].each
        self._objective, self._settings, self._seed = objective, settings, seed
        self._trainer = Trainer(SharedNetwork(space, seed, torch_device), settings.weights, self._steps, pool)
        self._policy = Likeliest(space, seed, lr=settings.policy_lr, entropy=settings.entropy, decay=settings.decay)
        self._told: list[tuple[list[Encoding], list[float]]] = []
        self._priced: dict[Encoding, float] = {}
        reward = {"reward": repr(objective.reward), "target_ms": objective.target_ms}
        self._identity = identify(space, whole, settings, seed) | reward

    def run(self, file: Path | None, progress: Progress | None) -> Encoding:
        if file and file.exists():
            self._load(file)
        saved = time.monotonic()
        while self._trainer.step < self._steps:
            loss = self._step()
            if progress:
                note = f"shared weights  loss {loss:.3f}  entropy {self._policy.entropy:.2f}"
                progress(self._trainer.step, self._steps, note)
            if file and (self._trainer.step == self._steps or time.monotonic() - saved > SAVE_SECONDS):
                self._stored.save(file)
                saved = time.monotonic()
        return self._policy.likeliest(lambda encoding: self._high_ms(encoding) <= self._objective.target_ms)

    def _step(self) -> float:
        """Tell the policy, once it is its turn, and train the weights; give the loss."""
        step, settings = self._trainer.step, self._settings
        rng = np.random.default_rng((self._seed, _DRAWS, step))
        if step < settings.quiet * self._steps:
            trained = [self._trainer.network.chain.draw(rng) for _ in range(settings.networks)]
        else:
            drawn = self._policy.ask(settings.samples + settings.networks)
            judged, trained = drawn[: settings.samples], drawn[settings.samples :]
            rewards = self._rewards(judged, step)
            self._policy.tell(judged, rewards)
            self._told.append((judged, rewards))
        return self._trainer.train(trained, *self._halves[0][step], rng)

    def _rewards(self, judged: list[Encoding], step: int) -> list[float]:
        images, labels = self._halves[1][step]
        network, out = self._trainer.network, []
        for encoding in judged:
            with torch.no_grad():
                predicted = network(network.chain.path(encoding), images).argmax(1)
            accuracy = float((predicted == labels).double().mean())
            out.append(float(self._objective.reward(accuracy, self._high_ms(encoding))))
        return out

    def _high_ms(self, encoding: Encoding) -> float:
        if encoding not in self._priced:
            objective = self._objective
            self._priced[encoding] = objective.price(objective.network(encoding)).high_ms
        return self._priced[encoding]

    @property
    def _stored(self) -> StoredWeights:
        return self._trainer.stored({**self._identity, "told": self._told})

    def _load(self, file: Path) -> None:
        """Go on where a search was: what the policy was told is told again."""
        stored = load_weights(file)
        stored.check(self._identity, file)
        self._trainer.load(stored)
        told: Any = stored.identity["told"]
        for encodings, rewards in told:
            judged = [tuple(encoding) for encoding in encodings]
            self._policy.tell(judged, rewards)
            self._told.append((judged, rewards))
