"""Models as others write them: torch modules exported to ONNX, and files of ours without what they say."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mnas.ir import Network
from mnas.lower import Format, initial_weights, lower


def stripped(network: Network, kind: Format) -> bytes:
    """A file of ours that does not say its architecture."""
    return lower(network, initial_weights(network), kind)


def exported(module: nn.Module, *x: Tensor, opset: int = 17, dynamic: bool = False) -> bytes:
    """A module as torch exports it, norms not folded."""
    file: Any = io.BytesIO()
    axes = {"input": {0: "batch"}} if dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(), x, file, opset_version=opset, dynamo=False, input_names=["input"], dynamic_axes=axes,
            training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=not dynamic,
        )  # fmt: skip
    return bytes(file.getvalue())


def macs_of(module: nn.Module, x: Tensor) -> int:
    """Multiply-accumulates of the convolutions and linear layers of a module, counted while it runs."""
    total = 0

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Conv2d | nn.Linear):
            total += output.numel() * layer.weight[0].numel()

    hooks = [layer.register_forward_hook(count) for layer in module.modules()]
    with torch.no_grad():
        module.eval()(x)
    for hook in hooks:
        hook.remove()
    return total


def conv(cin: int, cout: int, k: int = 1, s: int = 1, groups: int = 1, act: nn.Module | None = None) -> nn.Sequential:
    """Convolution with torch's symmetric padding, batch norm, non-linearity."""
    layers = [nn.Conv2d(cin, cout, k, s, k // 2, groups=groups, bias=False), nn.BatchNorm2d(cout)]
    return nn.Sequential(*layers, *([act] if act else []))


class SqueezeExcite(nn.Module):
    """torchvision's: pool, 1x1 convolutions, gate."""

    def __init__(self, c: int, inner: int, gate: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(c, inner, 1), nn.ReLU(), nn.Conv2d(inner, c, 1), gate
        )

    def forward(self, x: Tensor) -> Tensor:
        gate: Tensor = self.body(x)
        return x * gate


class Bottleneck(nn.Module):
    """MobileNet's, with or without squeeze-and-excite."""

    def __init__(self, cin: int, cout: int, k: int, s: int, e: int, act: nn.Module, gate: nn.Module | None) -> None:
        super().__init__()
        c = cin * e
        middle = [SqueezeExcite(c, max(4, c // 4), gate)] if gate else []
        expand = [conv(cin, c, act=act)] if e > 1 else []
        self.body = nn.Sequential(*expand, conv(c, c, k, s, c, act), *middle, conv(c, cout))
        self.skip = s == 1 and cin == cout

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return x + y if self.skip else y


class Mobile(nn.Module):
    """A MobileNetV2, or V3 with squeeze-and-excite, of given stages (expansion, channels, depth, stride)."""

    def __init__(
        self, stages: Sequence[tuple[int, int, int, int]], stem: int, head: int, *, act: nn.Module | None = None,
        gate: nn.Module | None = None, k: int = 3, classes: int = 10,
    ) -> None:  # fmt: skip
        super().__init__()
        act = act or nn.ReLU6()
        blocks: list[nn.Module] = [conv(3, stem, 3, 2, act=act)]
        c = stem
        for e, cout, n, s in stages:
            for i in range(n):
                blocks.append(Bottleneck(c, cout, k, s if i == 0 else 1, e, act, gate))
                c = cout
        self.features = nn.Sequential(*blocks, conv(c, head, act=act))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(head, classes))

    def forward(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.features(x).mean([2, 3])
        return self.classifier(pooled)  # type: ignore[no-any-return]


MOBILENET_V2 = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
)  # fmt: skip
