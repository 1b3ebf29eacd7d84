"""Searching by gradients: a space as one network, trained on two halves of the images (needs torch)."""

from __future__ import annotations

from mnas.evaluate.supernet.bilevel import dominant_eigenvalue as dominant_eigenvalue
from mnas.evaluate.supernet.bilevel import first_order as first_order
from mnas.evaluate.supernet.bilevel import second_order as second_order
from mnas.evaluate.supernet.expectation import Expectation as Expectation
from mnas.evaluate.supernet.expectation import expect as expect
from mnas.evaluate.supernet.halves import Halves as Halves
from mnas.evaluate.supernet.network import Supernet as Supernet
from mnas.evaluate.supernet.relaxed import Losses as Losses
from mnas.evaluate.supernet.relaxed import Order as Order
from mnas.evaluate.supernet.relaxed import Rates as Rates
from mnas.evaluate.supernet.relaxed import RelaxedNetwork as RelaxedNetwork
