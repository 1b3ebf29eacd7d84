"""The search space whose table prices a model file."""

from __future__ import annotations

from pathlib import Path

from mnas.reading.model import read_model
from mnas.spaces import PrimitiveSpace


def primitives_of(path: Path | str) -> PrimitiveSpace:
    """Make the space of a model file: its rows are the primitive ops of the file, its networks are pieces of it.

    Operators that no op says have no rows, and no piece goes across them.

    Raises:
        FormatError: as for `read_model`.
    """
    model = read_model(path)
    return PrimitiveSpace(f"primitives-{model.name}", model)
