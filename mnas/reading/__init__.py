"""Model files that did not come from mnas, read into primitive ops so that they can be priced."""

from __future__ import annotations

from mnas.reading.model import Coverage as Coverage
from mnas.reading.model import ForeignModel as ForeignModel
from mnas.reading.model import Unknown as Unknown
from mnas.reading.model import is_model as is_model
from mnas.reading.model import read_model as read_model
from mnas.reading.space import primitives_of as primitives_of
