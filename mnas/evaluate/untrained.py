"""Training-free scores: what an untrained network gives away about how well it would train, in one minibatch.

Every score is a natural logarithm, so that networks of all sizes can be told apart; the more, the better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf, log, nan

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mnas.errors import DataError
from mnas.evaluate.memory import keep_freed_memory
from mnas.evaluate.training import threads
from mnas.ir import Architecture
from mnas.lower.torch import build
from mnas.registry import Registry

RELU_LIKE = (nn.ReLU, nn.ReLU6, nn.Hardswish)
"""Non-linearities whose elements are units. A unit is active where its input is above 0, whatever happens further up
(ReLU6) or below (hard swish); the sigmoids of gates are no units."""
_WORDS = 1000
"""64-bit words of two codes compared at once: what they take stays in the cache, and their bits count in 16 bits."""


@dataclass(frozen=True, eq=False, slots=True)
class Minibatch:
    """Normalised images (n, c, h, w), float32, channels last, and their labels (n,), int64.

    Raises:
        DataError: fewer than 2 images, or not one label an image.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if len(self.images) < 2 or self.labels.shape != self.images.shape[:1]:
            raise DataError(
                f"a minibatch needs at least 2 images (batch norm takes their statistics) and as many labels, got "
                f"{len(self.images)} and {len(self.labels)}"
            )


@dataclass(frozen=True, slots=True)
class Score:
    """A named score.

    Attributes:
        of: gives the score of an architecture, with initial weights of a seed, on a minibatch; minus infinity where
            there is nothing to take the logarithm of, no number where values overflow.
        typical: what an ordinary network scores, above 0; it sets the scale of `ScoreEvaluator.squash`.
    """

    of: Callable[[Architecture, int, Minibatch], float]
    typical: float


scores: Registry[Score] = Registry("score", ("mnas.evaluate.untrained",))


def naswot(architecture: Architecture, seed: int, batch: Minibatch) -> float:
    """How differently an untrained network treats images: log |det K_H| (Mellor et al., arXiv:2006.04647, eq. 2).

    The code of an image is which units it makes active, over all units of the network (see `RELU_LIKE`);
    K_H[i, j] = N_A - Hamming distance of the codes of images i and j. Batch norm takes the statistics of the minibatch,
    as in the authors' code. Ops that nothing on the way to the output reads are not computed, and have no units.

    Args:
        architecture: the network.
        seed: of its weights.
        batch: the images; their number is the size of K_H, so scores of other numbers do not compare.

    Returns:
        The score; minus infinity where K_H is singular: two images have one code, or there are fewer units than images.
    """
    keep_freed_memory()
    codes: list[NDArray[np.uint8]] = []
    units = 0

    def look(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal units
        read = inputs[0].permute(0, 2, 3, 1)  # the order of units does not matter; this one copies nothing
        active = read.flatten(1).numpy() > 0
        codes.append(np.packbits(active, axis=1))
        units += active.shape[1]

    with threads(1), torch.inference_mode():
        network = _built(architecture, seed).train()
        for module in network.modules():
            if isinstance(module, RELU_LIKE):
                module.register_forward_pre_hook(look)
            if isinstance(module, nn.Sequential):
                for before, after in pairwise(module):
                    if isinstance(before, _BatchNorm) and isinstance(after, RELU_LIKE):
                        after.inplace = True  # nothing else reads what it reads
        if not torch.isfinite(network(batch.images)).all():
            return nan
        return _log_determinant(torch.from_numpy(agreements(codes, units))) if codes else -inf


def agreements(codes: Sequence[NDArray[np.uint8]], units: int) -> NDArray[np.float64]:
    """K_H: of how many of all units every two images agree, (n, n), by codes of some layers: n rows of packed bits."""
    size = sum(code.shape[1] for code in codes)
    words = np.concatenate([*codes, np.zeros((len(codes[0]), -size % 8), np.uint8)], axis=1).view(np.uint64)
    n = len(words)
    distances = np.zeros((n, n))
    for start in range(0, words.shape[1], _WORDS):
        part = np.ascontiguousarray(words[:, start : start + _WORDS])
        unlike, counts = np.empty_like(part), np.empty(part.shape, np.uint8)
        for i in range(n - 1):
            rest = slice(n - 1 - i)
            np.bitwise_count(np.bitwise_xor(part[i], part[i + 1 :], out=unlike[rest]), out=counts[rest])
            distances[i, i + 1 :] += counts[rest].sum(1, dtype=np.uint16)
    alike: NDArray[np.float64] = units - distances - distances.T
    return alike


def synflow(architecture: Architecture, seed: int, _batch: Minibatch) -> float:
    """How much passes from all inputs to all outputs: log of the sum of |w * dR/dw| (Tanaka et al., arXiv:2006.05467).

    R is the sum of the outputs for an image of ones under absolute weights, and w runs over the kernels of convolutions
    and linear layers. As usual batch norm is left out; so are non-linearities, which do nothing to positive maps but
    for the clipping of ReLU6. The minibatch is not looked at. In float64: flows of deep networks are large.
    """
    with threads(1), torch.enable_grad():
        network = _built(architecture, seed).eval().double()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.abs_()
        for module in network.modules():
            if isinstance(module, (*RELU_LIKE, _BatchNorm)):
                module.register_forward_hook(_leave_out)
        ones = torch.ones(1, *architecture.x, dtype=torch.float64)
        gradients = _gradients(network(ones.to(memory_format=torch.channels_last)).sum(), network)
        return _log(sum(float((kernel * slope).abs().sum()) for kernel, slope in gradients))


def grad_norm(architecture: Architecture, seed: int, batch: Minibatch) -> float:
    """How steep the loss is: log of the summed Euclidean norms of the gradients of all kernels (arXiv:2101.08134).

    Args:
        architecture: the network, whose outputs are one a class.
        seed: of its weights.
        batch: what the cross-entropy is taken of; batch norm takes its statistics.
    """
    with threads(1), torch.enable_grad():
        network = _built(architecture, seed).train()
        loss = nn.functional.cross_entropy(network(batch.images), batch.labels)
        return _log(sum(float(slope.norm()) for _, slope in _gradients(loss, network)))


def macs(architecture: Architecture, _seed: int, _batch: Minibatch) -> float:
    """Log of the multiply-adds: what every score must beat to be worth its time. Seed and minibatch decide nothing."""
    return _log(architecture.cost.macs)


def parameters(architecture: Architecture, _seed: int, _batch: Minibatch) -> float:
    """Log of the number of parameters; see `macs`."""
    return _log(architecture.cost.params)


scores.register("naswot")(Score(naswot, 1400.0))
scores.register("synflow")(Score(synflow, 50.0))
scores.register("grad-norm")(Score(grad_norm, 2.5))
scores.register("macs")(Score(macs, 16.0))
scores.register("parameters")(Score(parameters, 12.0))


def _built(architecture: Architecture, seed: int) -> nn.Module:
    network: nn.Module = build(architecture, seed).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def _log_determinant(kernel: Tensor) -> float:
    """Logarithm of the determinant of a positive semi-definite (n, n); minus infinity where it is singular."""
    singular = int(torch.linalg.matrix_rank(kernel, hermitian=True)) < len(kernel)
    return -inf if singular else float(torch.linalg.slogdet(kernel).logabsdet)


def _gradients(of: Tensor, network: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """Every kernel with its gradient; zeros for those that `of` does not depend on."""
    kernels = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    if not (kernels and of.requires_grad):
        return []
    slopes = torch.autograd.grad(of, kernels, materialize_grads=True)
    return [(kernel.detach(), slope) for kernel, slope in zip(kernels, slopes, strict=True)]


def _leave_out(_module: nn.Module, inputs: tuple[Tensor, ...], _output: Tensor) -> Tensor:
    return inputs[0]


def _log(value: float) -> float:
    """Minus infinity for 0; what is no number stays none."""
    return -inf if value == 0 else log(value) if value > 0 else nan
