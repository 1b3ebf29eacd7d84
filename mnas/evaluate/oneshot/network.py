"""A network of shared weights: the path that is asked for is computed, nothing else."""

from __future__ import annotations

import os
import threading

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from mnas.evaluate.oneshot.chain import Chain, Path, Placed
from mnas.evaluate.oneshot.weights import SharedWeights, slices
from mnas.ir import Architecture, Op, Shape, chain
from mnas.lower.torch import TorchNetwork, build, build_layer
from mnas.spaces import SearchSpace

os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16384")
"""oneDNN keeps the kernels that it made for the last so many shapes of convolutions. Paths have thousands; with its
1,024 it makes most of them anew at every step, which takes half as long again. Read when the first one is made."""


class SharedNetwork:
    """All networks of a space at once; batch norm always normalises by the batch.

    An op runs as the module that it is in an ordinary network, made once a thread and without weights of its own, on
    slices of the shared ones. Threads may call it at the same time.

    Args:
        space: whose networks share.
        seed: of the initial weights.
        torch_device: where the weights are.

    Raises:
        ConfigError: a space whose networks cannot share.
    """

    def __init__(self, space: SearchSpace, seed: int, torch_device: str = "cpu") -> None:
        self.chain = Chain(space)
        self.weights = SharedWeights(self.chain.everything(), seed, torch_device)
        self._device = torch_device
        self._modules = _Modules()
        self._largest: dict[tuple[Placed, ...], tuple[Placed, ...]] = {}

    def __call__(self, path: Path, images: Tensor, *, every: bool = False) -> Tensor:
        """Logits (n, classes) of images (n, c, h, w).

        Args:
            path: the network.
            images: normalised.
            every: compute, in place of every op, the mean of what all its rivals give (see `Chain.rivals`); of rivals
                whose weights are a part of another's, the other.
        """
        values = images
        if every:
            for rivals in self.chain.rivals(path):
                given = [self._run(each, values) for each in self._whole(rivals)]
                values = torch.stack(given).mean(0) if len(given) > 1 else given[0]
        else:
            for placed in path:
                values = self._run(placed, values)
        return values.flatten(1)

    def network(self, path: Path) -> TorchNetwork:
        """An ordinary network with a copy of the weights of a path; its batch-norm statistics are to be set."""
        network = build(architecture_of(path), seed=0).to(self._device)
        with torch.no_grad():
            for node, placed in zip(network.nodes, path, strict=True):
                for name, value in self.weights.of(placed).items():
                    node.get_parameter(name).copy_(value)
        return network

    def _run(self, placed: Placed, values: Tensor) -> Tensor:
        key, made = (placed.op, placed.x), self._modules.made
        if key not in made:
            made[key] = _hollow(*key, self._device)
        module, buffers = made[key]
        result: Tensor = functional_call(module, {**buffers, **self.weights.of(placed)}, (values,))
        return result

    def _whole(self, rivals: tuple[Placed, ...]) -> tuple[Placed, ...]:
        """Those whose weights are no part of another's."""
        if rivals not in self._largest:
            uses = {each: {part.key: part.shape for part in slices(each)} for each in rivals}
            self._largest[rivals] = tuple(
                each
                for i, each in enumerate(rivals)
                if not any(
                    _covers(uses[other], uses[each]) and (uses[other] != uses[each] or j < i)
                    for j, other in enumerate(rivals)
                    if j != i
                )
            )
        return self._largest[rivals]


class _Modules(threading.local):
    """Those of a thread: a module holds the weights of the path that is computed."""

    def __init__(self) -> None:
        self.made: dict[tuple[Op, Shape], tuple[nn.Module, dict[str, Tensor]]] = {}


def architecture_of(path: Path) -> Architecture:
    """The network that a path is."""
    return chain(path[0].x, [placed.op for placed in path])


def _covers(whole: dict[str, tuple[int, ...]], part: dict[str, tuple[int, ...]]) -> bool:
    return all(key in whole and all(n <= m for n, m in zip(part[key], whole[key], strict=True)) for key in part)


def _hollow(op: Op, x: Shape, torch_device: str) -> tuple[nn.Module, dict[str, Tensor]]:
    """The module of an op without memory for weights, in training, and what else it holds."""
    with torch.device("meta"):
        module = build_layer(op.layers(x), x)
    for each in module.modules():
        if isinstance(each, _BatchNorm):
            each.track_running_stats = False
    return module, {name: each.to(torch_device) for name, each in module.named_buffers() if not each.is_meta}
