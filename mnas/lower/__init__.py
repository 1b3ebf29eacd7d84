"""One description, three languages: torch to train, ONNX and TFLite for devices.

`mnas.lower.torch` is imported by those who train; nothing here loads torch.
"""

from __future__ import annotations

from mnas.lower.formats import Format as Format
from mnas.lower.formats import float_operators as float_operators
from mnas.lower.formats import lower as lower
from mnas.lower.formats import operators as operators
from mnas.lower.formats import read_metadata as read_metadata
from mnas.lower.graph import node_of as node_of
from mnas.lower.quantize import Dtype as Dtype
from mnas.lower.quantize import Samples as Samples
from mnas.lower.quantize import noise as noise
from mnas.lower.quantize import parse_dtype as parse_dtype
from mnas.lower.weights import Weights as Weights
from mnas.lower.weights import initial_weights as initial_weights
