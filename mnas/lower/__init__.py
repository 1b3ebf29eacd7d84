"""One description, three languages: torch to train, ONNX and TFLite for devices.

`mnas.lower.torch` is imported by those who train; nothing here loads torch.
"""

from __future__ import annotations

from mnas.lower.formats import Format as Format
from mnas.lower.formats import lower as lower
from mnas.lower.formats import operators as operators
from mnas.lower.formats import read_metadata as read_metadata
from mnas.lower.weights import Weights as Weights
from mnas.lower.weights import initial_weights as initial_weights
