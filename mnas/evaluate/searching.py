"""What a search over a space may see of data."""

from __future__ import annotations

from pathlib import Path

from mnas.errors import ConfigError
from mnas.evaluate.data import Dataset, SearchData, dataset, to_hold_out
from mnas.spaces import SearchSpace


def search_data(
    data: str | Path | Dataset | SearchData,
    space: SearchSpace,
    *,
    folder: str | Path | None = None,
    validation: int = 1,
) -> SearchData:
    """The training and validation images for networks of a space.

    Args:
        data: name or path of a data set, or the data itself.
        space: whose networks are to be trained.
        folder: where the files of a named data set are, if not in their usual place.
        validation: how many validation images are to be used; more than the usual 5,000 are held out for the purpose.

    Raises:
        ConfigError: the space has another number of classes.
        DataError: unknown, missing or malformed data.
    """
    if not isinstance(data, Dataset | SearchData):
        data = dataset(data, folder=folder, validation=to_hold_out(validation))
    whole = data.for_search() if isinstance(data, Dataset) else data
    if len(whole.classes) != space.classes:
        raise ConfigError(f"space {space.name} has {space.classes} classes, {whole.name} has {len(whole.classes)}")
    return whole
