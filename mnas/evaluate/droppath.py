"""Scheduled drop-path (NASNet, arXiv:1707.07012, sec. 4; FractalNet, arXiv:1605.07648): paths of joins left out.

A path is an op whose value one join alone reads, and that is not an identity: the ops of a block in a cell, and a
layer that is read once in a network of skip connections. Where there are no joins between nodes, there are no paths.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from mnas.ir import Network
from mnas.ir.layers import Seq
from mnas.lower.torch import TorchNetwork


def paths(network: Network) -> tuple[int, ...]:
    """Indices (from 0) of the nodes of a network that are paths."""
    first = len(network.inputs)
    readers = Counter(source for node in network.nodes for source in node.sources)
    joined = {source for node in network.nodes if len(node.sources) > 1 for source in node.sources}
    single = [value - first for value in sorted(joined) if value >= first and readers[value] == 1]
    return tuple(i for i in single if network.nodes[i].op.layers(network.placements[i].x) != Seq())


class DropPath:
    """Leaves paths out while a network trains, each image's own: `rate` is the chance, and may be changed any time.

    What is kept is divided by the chance to be kept, so that the mean stays.
    """

    def __init__(self, seed: int) -> None:
        self.rate = 0.0
        self._generator = torch.Generator().manual_seed(seed)

    def __call__(self, module: nn.Module, args: Any, y: Tensor) -> Tensor:
        """Drop the output of a path (a forward hook of torch)."""
        if not module.training or not self.rate:
            return y
        kept = torch.rand((len(y), 1, 1, 1), generator=self._generator) >= self.rate
        return y * (kept / (1 - self.rate)).to(y.device)


@contextmanager
def drop_paths(network: nn.Module, seed: int) -> Iterator[DropPath]:
    """Drop paths of `network` inside the block; neither its weights nor what it does in evaluation change."""
    drop = DropPath(seed)
    chosen = [network.nodes[i] for i in paths(network.network)] if isinstance(network, TorchNetwork) else []
    hooks = [module.register_forward_hook(drop) for module in chosen]
    try:
        yield drop
    finally:
        for hook in hooks:
            hook.remove()
