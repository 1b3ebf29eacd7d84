"""Search spaces: named decisions that decode to architectures."""

from __future__ import annotations

from mnas.spaces.space import Choice as Choice
from mnas.spaces.space import Encoding as Encoding
from mnas.spaces.space import SearchSpace as SearchSpace
from mnas.spaces.space import arity as arity
from mnas.spaces.space import mutate as mutate
from mnas.spaces.space import sample as sample
from mnas.spaces.space import sample_biased as sample_biased
from mnas.spaces.space import size as size
from mnas.spaces.space import space as space
from mnas.spaces.space import spaces as spaces
from mnas.spaces.space import values as values
