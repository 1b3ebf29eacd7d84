"""The sequence space of NAS-RL (Zoph & Le 2017, arXiv:1611.01578, sec. 3): layers in a row, and skip connections.

A layer decides filter height and width, stride height and width, the number of filters, and by anchor points which
earlier layers it reads. By the paper's rules (sec. 3.3) the maps it reads are padded with zeros to the largest and
concatenated in depth, a layer without input reads the image, and the outputs that no layer reads are padded and
concatenated for the classifier. Encodings have the length of the deepest network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations_with_replacement, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnas.errors import ConfigError
from mnas.ir import Architecture, Op, Placement, Shape
from mnas.ops.cell import Classifier, Identity
from mnas.ops.mobile import ConvBlock
from mnas.ops.sequence import Centred, ConvBnRelu
from mnas.spaces.building import Builder
from mnas.spaces.protocol import Choice, Encoding, Option, SearchSpace, arity, spaces, values


class Growth(NamedTuple):
    """How deep networks may be while a controller learns: `start` options of `layers`, one more every `every` samples.

    The paper's networks start at 6 layers and get 2 more every 1,600 samples.
    """

    start: int
    every: int


@dataclass(frozen=True)
class NasRLSpace:
    """Networks of some number of layers.

    The published space is `NasRLSpace("nasrl", Shape(3, 32, 32), 10, tuple(range(6, 16, 2)), kernels=(1, 3, 5, 7),
    filters=(24, 36, 48, 64), growth=Growth(1, 1600))`, with `strides=(1, 2, 3)` where strides are searched too. The
    rows of a table are every convolution at every depth and size of map that it can read: some 10^4 in the published
    space, 10^7 with strides, which `placements` yields one by one but nobody measures.

    Attributes:
        name: what tables and runs call it.
        x: shape of the image.
        classes: number of classes.
        layers: the numbers of layers a network may have, in rising order.
        kernels: heights and widths of filters.
        strides: stride heights and widths.
        filters: numbers of filters.
        anchors: whether layers choose what they read; if not, each reads the one before.
        smallest: a stride that would leave fewer pixels than this is 1.
        stem: what reads the image before the layers do, if anything (the published space has none); a layer without
            input then reads the stem's output.
        growth: when the options of `layers` open, for controllers that go by it.
    """

    name: str
    x: Shape
    classes: int
    layers: tuple[int, ...]
    kernels: tuple[int, ...] = (1, 3, 5)
    strides: tuple[int, ...] = (1,)
    filters: tuple[int, ...] = (16, 32)
    anchors: bool = True
    smallest: int = 1
    stem: Op | None = None
    growth: Growth = field(default=Growth(1, 1600))

    def __post_init__(self) -> None:
        for name in ("layers", "kernels", "strides", "filters"):
            options = getattr(self, name)
            if not options or min(options) < 1 or list(options) != sorted(set(options)):
                raise ConfigError(f"{name} must be different positive numbers in rising order, got {options}")
        if self.growth.start < 1 or self.growth.every < 1:
            raise ConfigError(f"growth needs start >= 1 and every >= 1, got {self.growth}")

    @cached_property
    def _decisions(self) -> dict[str, tuple[Option, ...]]:
        """Options by name, those of one option included."""
        out: dict[str, tuple[Option, ...]] = {"layers": self.layers}
        for i in range(1, self.layers[-1] + 1):
            out |= {f"layer{i}.height": self.kernels, f"layer{i}.width": self.kernels}
            out |= {f"layer{i}.stride_height": self.strides, f"layer{i}.stride_width": self.strides}
            out |= {f"layer{i}.filters": self.filters}
            out |= {f"layer{i}.reads{j}": (0, 1) for j in range(1, i)} if self.anchors else {}
        return out

    @cached_property
    def choices(self) -> tuple[Choice, ...]:
        """`layers`, then the decisions of every layer; a decision of one option is left out."""
        return tuple(Choice(name, options) for name, options in self._decisions.items() if len(options) > 1)

    @cached_property
    def _layer_of(self) -> NDArray[np.int64]:
        """The layer that a choice belongs to, 0 for `layers`, (choices,)."""
        names = [choice.name.partition(".")[0].removeprefix("layer") for choice in self.choices]
        return np.array([int(name) if name.isdecimal() else 0 for name in names], np.int64)

    def active(self, encodings: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Choices of layers that a network has (see `ConditionalSpace`)."""
        depths = np.array(self.layers, np.int64)
        depth = depths[encodings[:, 0]] if len(depths) > 1 else np.repeat(depths, len(encodings))
        return self._layer_of <= depth[:, None]

    def open_options(self, samples: int) -> NDArray[np.int64]:
        """All options, but for `layers` (see `GrowingSpace`)."""
        counts = arity(self)
        if len(self.layers) > 1:
            counts[0] = min(counts[0], self.growth.start + samples // self.growth.every)
        return counts

    def decode(self, encoding: Encoding) -> Architecture:
        """Read an encoding as a network; inactive choices are not looked at."""
        chosen = {name: options[0] for name, options in self._decisions.items()}
        chosen |= zip([choice.name for choice in self.choices], values(self, encoding), strict=True)
        net = Builder(self.x)
        image = net.append(self.stem, 0) if self.stem else 0
        outputs: list[int] = []
        unread: set[int] = set()
        for i in range(1, int(chosen["layers"]) + 1):
            reads = [j for j in range(1, i) if chosen[f"layer{i}.reads{j}"]] if self.anchors else [i - 1] * (i > 1)
            sources = [outputs[j - 1] for j in reads]
            source = _concatenated(net, sources) if sources else image
            names = ("height", "width", "stride_height", "stride_width", "filters")
            kh, kw, sh, sw, c = (int(chosen[f"layer{i}.{name}"]) for name in names)
            outputs.append(net.append(self._layer(kh, kw, sh, sw, c, net.shapes[source]), source))
            unread = unread.difference(sources) | {outputs[-1]}
        net.append(Classifier(self.classes), _concatenated(net, sorted(unread)))
        return net.build()

    def _layer(self, kh: int, kw: int, sh: int, sw: int, c: int, x: Shape) -> Op:
        return ConvBnRelu(c, kh, kw, self._stride(sh, x.h), self._stride(sw, x.w))

    def _stride(self, stride: int, side: int) -> int:
        return stride if -(-side // stride) >= self.smallest else 1

    def placements(self) -> Iterator[Placement]:
        """Yield the rows of a table, one by one: without end in sight where the space is large.

        Where strides may be taken again and again, a few windows are among them that no network holds.
        """
        seen: set[Placement] = set()
        for placement in self._placements():
            if placement not in seen:
                seen.add(placement)
                yield placement

    def _placements(self) -> Iterator[Placement]:
        image = self.x
        if self.stem:
            yield Placement(self.stem, (self.x,))
            image = self.stem.out_shape(self.x)
        yield from self._layers_on(image)
        sizes = self._sizes(image)
        for (h, w), fewest in sizes.items():
            joined = self.layers[-1] - fewest + 1 if self.anchors else 1
            depths: dict[int, int] = {}
            for n in range(1, joined + 1):
                for widths in combinations_with_replacement(self.filters, n):
                    depths.setdefault(sum(widths), n)
                    if n > 1:
                        yield Placement(Identity(), tuple(Shape(c, h, w) for c in widths), "cat")
            for c, n in depths.items():
                if n <= self.layers[-1] - fewest:
                    yield from self._layers_on(Shape(c, h, w))
                yield Placement(Classifier(self.classes), (Shape(c, h, w),))
            for size, c in product(sizes if self.anchors else (), self.filters):
                if size != (h, w) and size[0] >= h and size[1] >= w:
                    yield Placement(Centred(*size), (Shape(c, h, w),))

    def _layers_on(self, x: Shape) -> Iterator[Placement]:
        for kh, kw, sh, sw, c in product(self.kernels, self.kernels, self.strides, self.strides, self.filters):
            yield Placement(self._layer(kh, kw, sh, sw, c, x), (x,))

    def _sizes(self, image: Shape) -> dict[tuple[int, int], int]:
        """Sizes (height, width) of the layers' maps, and the fewest layers that lead to each."""
        sizes: dict[tuple[int, int], int] = {}
        last = {(image.h, image.w)}
        for depth in range(1, self.layers[-1] + 1):
            strided = {
                (-(-h // self._stride(sh, h)), -(-w // self._stride(sw, w)))
                for (h, w), sh, sw in product(sorted(last), self.strides, self.strides)
            }
            last = strided - sizes.keys()
            sizes |= dict.fromkeys(sorted(last), depth)
        return sizes


def _concatenated(net: Builder, sources: Iterable[int]) -> int:
    """Pad maps with zeros to the largest height and width, and concatenate them in depth."""
    sources = tuple(sources)
    h, w = (max(net.shapes[source][axis] for source in sources) for axis in (1, 2))
    fits = [net.shapes[source][1:] == (h, w) for source in sources]
    return net.concatenate([s if fit else net.share(Centred(h, w), s) for s, fit in zip(sources, fits, strict=True)])


@spaces.register("nasrl")
def nasrl(classes: int = 10, image_size: int = 28, channels: int = 1) -> SearchSpace:
    """NAS-RL's space, small: 2 to 6 layers, filters of 1, 3 and 5, strides of 1 and 2, a strided stem.

    The stem (3x3, 16 channels) leaves maps of about 14 pixels, or an eighth of a large image, and layers halve those
    once at most in either direction: a table has less than 2000 rows.
    """
    if image_size < 8:
        raise ConfigError(f"image_size must be at least 8 pixels for this space, got {image_size}")
    stride = min(8, max(2, image_size // 14))
    return NasRLSpace(
        "nasrl",
        Shape(channels, image_size, image_size),
        classes,
        layers=(2, 3, 4, 5, 6),
        strides=(1, 2),
        filters=(32, 64),
        smallest=-(-image_size // (2 * stride)),
        stem=ConvBlock(16, 3, stride),
        growth=Growth(1, 20),
    )
