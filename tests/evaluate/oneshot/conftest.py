from __future__ import annotations

from dataclasses import replace

import pytest

from mnas.evaluate import SearchData
from mnas.spaces import ChainSpace
from tests.searchers.gradients.spaces import CHAIN, images


@pytest.fixture(scope="session")
def chain_space() -> ChainSpace:
    """Two stages of every kind of layer, 8x8 images, 3 classes, every kind of skip."""
    return replace(CHAIN, skips=("pool", "identity", "none"))


@pytest.fixture(scope="session")
def rows() -> SearchData:
    """Images of a bright row that is the class."""
    return images()
