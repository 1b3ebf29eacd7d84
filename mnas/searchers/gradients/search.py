"""DARTS (arXiv:1806.09055) and its relatives: search by gradients over any `RelaxedSpace`.

It is a function from images to an encoding, not a searcher: it trains a supernet and asks for no evaluations.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mnas.errors import ConfigError, FormatError, SpanError
from mnas.evaluate import Dataset, SearchData, search_data
from mnas.evaluate.supernet import Halves, Rates, RelaxedNetwork, expect
from mnas.evaluate.torch_device import check_torch_device
from mnas.evaluate.training import threads
from mnas.files import write_bytes, write_text
from mnas.latency import LatencyTable
from mnas.progress import Progress
from mnas.searchers.gradients.landing import Landing
from mnas.searchers.gradients.settings import DartsSettings, Epoch
from mnas.searchers.reward import check_target
from mnas.spaces import Encoding, RelaxedSpace, SearchSpace

_CHECKPOINT, _REPORTS = "darts.pt", "darts.jsonl"
_FORMAT = "mnas.darts/1"


def darts(
    space: SearchSpace,
    data: str | Path | Dataset | SearchData,
    *,
    table: LatencyTable | None = None,
    target_ms: float | None = None,
    settings: DartsSettings | None = None,
    seed: int = 0,
    folder: str | Path | None = None,
    data_folder: str | Path | None = None,
    torch_device: str = "cpu",
    progress: Progress | None = None,
    report: Callable[[Epoch], None] | None = None,
) -> Encoding:
    """Search a space by gradients and give the encoding of what was found.

    Cut off anywhere, the same call with the same `folder` goes on from the last epoch to the same answer. Torch uses
    one thread, on which the answer depends.

    Args:
        space: one that is relaxed, such as darts-small or mnasnet-small.
        data: name or path of a data set, or the data itself; its test images are not looked at.
        table: prices of the space; needed where latency counts.
        target_ms: the latency target; needed where latency counts.
        settings: how to search; `DartsSettings()` if not given.
        seed: of the weights, the decisions and the order of the images.
        folder: where `darts.pt` (the state after the last epoch) and `darts.jsonl` (a line an epoch) are kept.
        data_folder: where the files of a named data set are, if not in their usual place.
        torch_device: where to train.
        progress: told steps.
        report: told every epoch, also those before an interruption.

    Raises:
        ConfigError: a space that cannot be relaxed, a latency that counts without a table or a target, decisions
            without a gradient, or a folder that holds another search.
        DataError: data that is missing or too small.
        MissingLatencyError: the table lacks rows of the space.
        EvaluationError: a loss is no longer a number.
        FormatError: the checkpoint is damaged.
    """
    with threads(1):
        search = _Search(space, data, table, target_ms, settings or DartsSettings(), seed, data_folder, torch_device)
        return search.run(Path(folder) if folder else None, progress, report)


class _Search:
    """See `darts`."""

    def __init__(
        self,
        space: SearchSpace,
        data: str | Path | Dataset | SearchData,
        table: LatencyTable | None,
        target_ms: float | None,
        settings: DartsSettings,
        seed: int,
        data_folder: str | Path | None,
        torch_device: str,
    ) -> None:
        if not isinstance(space, RelaxedSpace):
            raise ConfigError(
                f"space {space.name} cannot be searched by gradients: it does not say what its mixtures are"
            )
        counts = settings.land or settings.latency_weight > 0
        if counts and (table is None or target_ms is None):
            raise ConfigError(
                f"latency counts in this search of space {space.name} (land = {str(settings.land).lower()}, "
                f"latency_weight = {settings.latency_weight:g}), which takes a latency table and a target: give both, "
                "or set land = false and latency_weight = 0"
            )
        if target_ms is not None:
            check_target(target_ms)
        check_torch_device(torch_device)
        self._space, self._settings, self._table, self._seed = space, settings, table, seed
        whole = search_data(data, space, folder=data_folder)
        self._halves = Halves(whole, space.x, settings.images, settings.batch, torch_device)
        self._steps = settings.epochs * self._halves.steps
        self._landing: Landing | None = None
        if settings.land and target_ms is not None:
            self._landing = Landing(target_ms, self._steps, settings.latency_weight)
        self._model = RelaxedNetwork(
            space.relax(settings.cells, settings.channels),
            _rates(settings),
            expectation=expect(space, table) if table else None,
            target_ms=target_ms or 1.0,
            seed=seed,
            torch_device=torch_device,
        )
        self._priced: dict[Encoding, float] = {}
        self._epochs: list[Epoch] = []
        self._identity = json.dumps(
            {
                "space": [space.name, str(space.x), space.classes],
                "data": [whole.name, self._halves.images],
                "table": table.sha256 if table else None,
                "target_ms": target_ms,
                "seed": seed,
                **asdict(settings),
            }
        )

    def run(self, folder: Path | None, progress: Progress | None, report: Callable[[Epoch], None] | None) -> Encoding:
        if folder and (folder / _CHECKPOINT).exists():
            self._load(folder / _CHECKPOINT)
            self._report(folder)
        for epoch in self._epochs:
            if report:
                report(epoch)
        while len(self._epochs) < self._settings.epochs and not self._collapsed:
            self._epochs.append(self._train_epoch(len(self._epochs), progress))
            if folder:
                self._save(folder)
            if report:
                report(self._epochs[-1])
        return self._answer

    @property
    def _collapsed(self) -> bool:
        """Whether the last epoch is the first with too many identities, after one that moved the decisions."""
        moved = self._epochs[self._settings.warmup :]
        return len(moved) > 1 and moved[-1].identity_share > self._settings.collapse

    @property
    def _answer(self) -> Encoding:
        kept = self._epochs[:-1] if self._collapsed else self._epochs
        last, landing = kept[-1], self._landing
        if landing is None or (last.network_ms or 0) <= landing.target_ms:
            return last.encoding
        return next((each.within for each in reversed(kept) if each.within), last.encoding)

    @property
    def _latency_weight(self) -> float:
        return self._landing.weight if self._landing else self._settings.latency_weight

    def _train_epoch(self, epoch: int, progress: Progress | None) -> Epoch:
        settings, model = self._settings, self._model
        order = settings.order if epoch >= settings.warmup else None
        rng, losses = np.random.default_rng((self._seed, epoch)), []
        for step, (training, validation) in enumerate(self._halves.pairs(rng)):
            losses.append(
                model.step(
                    training,
                    validation,
                    lr=settings.rate(epoch),
                    order=order,
                    latency_weight=self._latency_weight,
                )
            )
            if self._landing and order:
                found = self._space.discretise(model.probabilities)
                self._landing.update(found, self._high_ms(found))
            if progress:
                before = f"  {self._epochs[-1].summary()}" if self._epochs else ""
                progress(epoch * self._halves.steps + step + 1, self._steps, f"epoch {epoch + 1}{before}")
        training_loss, validation_loss = (float(np.mean(each)) for each in zip(*losses, strict=True))
        encoding = self._space.discretise(model.probabilities)
        return Epoch(
            epoch=epoch + 1,
            encoding=encoding,
            training_loss=training_loss,
            validation_loss=validation_loss if order else None,
            entropy=model.entropy,
            identity_share=self._space.identity_share(encoding),
            eigenvalue=self._eigenvalue() if settings.eigenvalue else None,
            latency_weight=self._latency_weight,
            expected_ms=model.expected_ms,
            network_ms=self._high_ms(encoding) if self._table else None,
            within=self._landing.within if self._landing else None,
        )

    def _eigenvalue(self) -> float | None:
        """None if it is no number."""
        value = self._model.eigenvalue(self._halves.first(), self._seed)
        return value if math.isfinite(value) else None

    def _high_ms(self, encoding: Encoding) -> float:
        """The upper bound of a network's latency; twice the price where the table was not fitted to such sizes."""
        if self._table and encoding not in self._priced:
            try:
                self._priced[encoding] = self._table.predict(self._space.decode(encoding).canonical()).high_ms
            except SpanError as error:
                self._priced[encoding] = 2 * error.ms
        return self._priced[encoding]

    def _save(self, folder: Path) -> None:
        buffer = io.BytesIO()
        landing = [self._landing.weight, self._landing.within] if self._landing else []
        state: dict[str, Any] = {
            "format": _FORMAT,
            "search": self._identity,
            "epochs": [tuple(epoch) for epoch in self._epochs],
            "landing": landing,
            "model": self._model.state(),
        }
        torch.save(state, buffer)
        write_bytes(folder / _CHECKPOINT, buffer.getvalue())
        self._report(folder)

    def _report(self, folder: Path) -> None:
        write_text(folder / _REPORTS, "".join(json.dumps(epoch._asdict()) + "\n" for epoch in self._epochs))

    def _load(self, path: Path) -> None:
        try:
            state = torch.load(io.BytesIO(path.read_bytes()), weights_only=True)
            if state["format"] != _FORMAT:
                raise FormatError(f"{path} is of another version; start a new run")
            if state["search"] != self._identity:
                raise ConfigError(f"{path} is of another search: {_difference(state['search'], self._identity)}")
            self._epochs = [Epoch(*epoch) for epoch in state["epochs"]]
            if self._landing:
                self._landing.weight, self._landing.within = state["landing"]
            self._model.load(state["model"])
        except (ConfigError, FormatError):
            raise
        except Exception as error:  # torch raises whatever a damaged file makes it raise
            reason = str(error).partition("\n")[0]
            raise FormatError(
                f"{path} is damaged ({type(error).__name__}: {reason}): remove it to start again"
            ) from None


def _rates(settings: DartsSettings) -> Rates:
    return Rates(
        settings.momentum, settings.weight_decay, settings.clip, settings.alpha_lr, settings.alpha_weight_decay
    )


def _difference(there: str, here: str) -> str:
    """The settings in which two searches differ."""
    one, other = json.loads(there), json.loads(here)
    return ", ".join(
        f"{key} ({one.get(key)!r} there, {other.get(key)!r} here)" for key in other if one.get(key) != other[key]
    )
