"""Spaces and images that are searched in seconds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mnas.evaluate import SearchData, Split
from mnas.ir import Shape
from mnas.searchers import DartsSettings
from mnas.spaces.darts import DartsSpace
from mnas.spaces.genotype import Stack
from mnas.spaces.mnasnet import MnasNetSpace
from mnas.spaces.mnasnet import Stage as Block

CELLS = DartsSpace("cells", Shape(1, 8, 8), 3, Stack(4, 3), Stack(2, 3))
CHAIN = MnasNetSpace("chain", Shape(1, 8, 8), 3, (Block(8, 1, 1), Block(16, 1, 2)), 8, 8, ("identity",))
DIGITS = replace(CHAIN, classes=10)
FREE = DartsSettings(epochs=3, images=32, batch=8, land=False, alpha_lr=0.02)


def images(n: int = 64, classes: int = 3) -> SearchData:
    """Images of a bright row that is the class."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, n)
    pixels = rng.integers(0, 80, (n, 1, 8, 8)).astype(np.uint8)
    pixels[np.arange(n), 0, 2 * labels] = 200
    split = Split(pixels, labels)
    return SearchData("rows", split, split, tuple(map(str, range(classes))), (0.2,), (0.2,))
