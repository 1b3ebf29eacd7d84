"""What a search over a space may see of data."""

from __future__ import annotations

from pathlib import Path

from mnas.errors import ConfigError
from mnas.evaluate.data import Dataset, SearchData, dataset
from mnas.spaces import SearchSpace


def search_data(
    data: str | Path | Dataset | SearchData, space: SearchSpace, *, folder: str | Path | None = None
) -> SearchData:
    """The training and validation images for networks of a space.

    Args:
        data: name or path of a data set, or the data itself.
        space: whose networks are to be trained.
        folder: where the files of a named data set are, if not in their usual place.

    Raises:
        ConfigError: the space has another number of classes.
        DataError: unknown, missing or malformed data.
    """
    whole = data if isinstance(data, Dataset | SearchData) else dataset(data, folder=folder)
    whole = whole.for_search() if isinstance(whole, Dataset) else whole
    if len(whole.classes) != space.classes:
        raise ConfigError(f"space {space.name} has {space.classes} classes, {whole.name} has {len(whole.classes)}")
    return whole
