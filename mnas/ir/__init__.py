"""Values that describe networks. Pure Python: no torch, no files, no randomness."""

from __future__ import annotations

from mnas.ir.architecture import Architecture as Architecture
from mnas.ir.architecture import Network as Network
from mnas.ir.architecture import Node as Node
from mnas.ir.architecture import Placement as Placement
from mnas.ir.architecture import chain as chain
from mnas.ir.bundle import Bundle as Bundle
from mnas.ir.layers import Layer as Layer
from mnas.ir.op import Op as Op
from mnas.ir.op import arg as arg
from mnas.ir.op import known_ops as known_ops
from mnas.ir.op import parse_op as parse_op
from mnas.ir.op import register_op as register_op
from mnas.ir.shape import Cost as Cost
from mnas.ir.shape import Shape as Shape
