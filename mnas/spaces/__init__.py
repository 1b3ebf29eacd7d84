"""Search spaces: named decisions that decode to architectures."""

from __future__ import annotations

from mnas.spaces.primitives import PrimitiveSpace as PrimitiveSpace
from mnas.spaces.protocol import ChainSpace as ChainSpace
from mnas.spaces.protocol import Choice as Choice
from mnas.spaces.protocol import ConditionalSpace as ConditionalSpace
from mnas.spaces.protocol import Encoding as Encoding
from mnas.spaces.protocol import EncodingSpace as EncodingSpace
from mnas.spaces.protocol import GrowingSpace as GrowingSpace
from mnas.spaces.protocol import SearchSpace as SearchSpace
from mnas.spaces.protocol import active as active
from mnas.spaces.protocol import arity as arity
from mnas.spaces.protocol import mutate as mutate
from mnas.spaces.protocol import pruned as pruned
from mnas.spaces.protocol import sample as sample
from mnas.spaces.protocol import sample_biased as sample_biased
from mnas.spaces.protocol import size as size
from mnas.spaces.protocol import space as space
from mnas.spaces.protocol import spaces as spaces
from mnas.spaces.protocol import values as values
