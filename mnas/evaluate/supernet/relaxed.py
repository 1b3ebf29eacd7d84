"""A supernet in training: its weights on one half of the images, the logits of its decisions on the other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own abbreviation)
from numpy.typing import NDArray
from torch import Tensor

from mnas.errors import ConfigError, EvaluationError
from mnas.evaluate.supernet.bilevel import Loss, Training, Unrolled, dominant_eigenvalue, first_order, second_order
from mnas.evaluate.supernet.expectation import Expectation
from mnas.evaluate.supernet.network import Supernet
from mnas.evaluate.training import Batch
from mnas.spaces.relaxation import Relaxation

Order = Literal["first", "second"]


@dataclass(frozen=True, slots=True)
class Rates:
    """How weights and logits move (DARTS, arXiv:1806.09055, appendix A.1.1).

    Attributes:
        momentum: of the weights.
        weight_decay: of the weights.
        clip: largest norm of the gradient of the weights.
        alpha_lr: learning rate of the logits, by Adam of betas (0.5, 0.999).
        alpha_weight_decay: of the logits.
    """

    momentum: float = 0.9
    weight_decay: float = 3e-4
    clip: float = 5.0
    alpha_lr: float = 3e-4
    alpha_weight_decay: float = 1e-3


class Losses(NamedTuple):
    """Of one step: of the training batch, and of the validation batch without the latency's term."""

    training: float
    validation: float


class RelaxedNetwork:
    """A supernet, the logits of its decisions, and an optimiser of each.

    Args:
        relaxation: what is trained.
        rates: how.
        expectation: of the latency, where there is a table.
        target_ms: what the latency counts relative to.
        seed: of weights and logits.
        torch_device: where to train.

    Raises:
        ConfigError: a decision that nothing in the network depends on.
    """

    def __init__(
        self,
        relaxation: Relaxation,
        rates: Rates,
        *,
        expectation: Expectation | None = None,
        target_ms: float = 1.0,
        seed: int = 0,
        torch_device: str = "cpu",
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.network = Supernet(relaxation, generator)
        self.network.to(torch_device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.logits = self.network.decisions.logits(generator).to(torch_device).requires_grad_()
        self._expectation, self._target_ms, self._clip = expectation, target_ms, rates.clip
        self._weights = list(self.network.parameters())
        self._sgd = torch.optim.SGD(self._weights, 0.0, rates.momentum, weight_decay=rates.weight_decay, fused=True)
        self._adam = torch.optim.Adam(
            [self.logits], rates.alpha_lr, betas=(0.5, 0.999), weight_decay=rates.alpha_weight_decay
        )

    @property
    def probabilities(self) -> list[NDArray[np.float64]]:
        """Of the options of every decision, (options,) each."""
        return self.network.decisions.split(self._probabilities(self.logits))

    @property
    def entropy(self) -> float:
        """Mean entropy of the decisions, 0..1 of the largest it can be."""
        shares = [
            -(p * np.log(np.maximum(p, 1e-300))).sum() / math.log(len(p)) for p in self.probabilities if len(p) > 1
        ]
        return float(np.mean(shares)) if shares else 0.0

    @property
    def expected_ms(self) -> float | None:
        """Expected latency; None without a table."""
        return self._expectation(self._probabilities(self.logits)).item() if self._expectation else None

    def step(
        self, training: Batch, validation: Batch, *, lr: float, order: Order | None, latency_weight: float = 0.0
    ) -> Losses:
        """Move logits and weights once.

        In the second order the weights take the very step that the logits looked ahead to: their gradient is that
        before the step of the logits, and is computed once; only the clip is not looked ahead to. In the first order it
        is taken after that.

        Args:
            training: moves the weights.
            validation: moves the logits.
            lr: learning rate of the weights.
            order: of the gradient of the logits; None leaves them.
            latency_weight: what the expected latency, relative to the target, adds to the validation loss.

        Raises:
            ConfigError: latency counts, but there is no expectation of it.
            EvaluationError: a loss or a gradient is no longer a number.
        """
        if latency_weight and not self._expectation:
            raise ConfigError(f"latency counts ({latency_weight:g} times), which takes its expectation: give a table")
        self._sgd.param_groups[0]["lr"] = lr
        on_training, on_validation = self._loss(training), self._loss(validation, latency_weight)
        now, loss = None, math.nan
        if order == "second":
            now = Training.at(on_training, self.logits, self._weights)
            step = Unrolled.of(self._sgd)
            gradient = second_order(now, on_training, on_validation, self.logits, self._weights, step)
        elif order == "first":
            gradient = first_order(on_validation, self.logits, self._weights)
        if order:
            loss = gradient.loss - latency_weight * (self.expected_ms or 0.0) / self._target_ms
            _check(loss, gradient.logits, f"the validation loss is {loss}", f"learning rates ({lr:g} of the weights)")
            self.logits.grad = gradient.logits
            self._adam.step()
        now = now or Training.at(on_training, self.logits, self._weights)
        for weight, each in zip(self._weights, now.gradients, strict=True):
            weight.grad = each
        norm = torch.nn.utils.clip_grad_norm_(self._weights, self._clip)
        _check(now.loss, norm, f"the training loss is {now.loss}", f"a learning rate of {lr:g}")
        self._sgd.step()
        return Losses(now.loss, loss)

    def eigenvalue(self, validation: Batch, seed: int) -> float:
        """The largest eigenvalue of the Hessian of the validation loss (see `dominant_eigenvalue`)."""
        return dominant_eigenvalue(self._loss(validation), self.logits, torch.Generator().manual_seed(seed))

    def state(self) -> dict[str, Any]:
        """All that `load` needs: the tensors that are trained, not copied, and plain values."""
        return {
            "network": self.network.state_dict(),
            "logits": self.logits.detach(),
            "sgd": self._sgd.state_dict(),
            "adam": self._adam.state_dict(),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`; raises what torch raises where it is another network's."""
        self.network.load_state_dict(state["network"])
        with torch.no_grad():
            self.logits.copy_(state["logits"])
        self._sgd.load_state_dict(state["sgd"])
        self._adam.load_state_dict(state["adam"])

    def _probabilities(self, logits: Tensor) -> Tensor:
        return self.network.decisions.probabilities(logits)

    def _loss(self, batch: Batch, latency_weight: float = 0.0) -> Loss:
        def loss(logits: Tensor) -> Tensor:
            probabilities = self._probabilities(logits)
            total = F.cross_entropy(self.network(batch.images, probabilities), batch.labels)
            if latency_weight and self._expectation:
                total = total + latency_weight * self._expectation(probabilities).to(total.device) / self._target_ms
            return total

        return loss


def _check(loss: float, gradient: Tensor, what: str, cause: str) -> None:
    if not (math.isfinite(loss) and bool(torch.isfinite(gradient).all())):
        raise EvaluationError(f"the search diverged: {what}, or its gradient is no number; {cause} may be too high")
