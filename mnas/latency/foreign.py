"""Model files that are priced: by the architecture they name, or by the primitive ops they are made of."""

from __future__ import annotations

from mnas.errors import ConfigError, FormatError
from mnas.ir import Architecture, Network
from mnas.latency.pricing import executed
from mnas.latency.table import LatencyTable
from mnas.reading import ForeignModel


def priced_as(model: ForeignModel, table: LatencyTable, *, skip_unknown: bool = False) -> Network:
    """Choose what a table prices a model file as.

    That is the architecture which mnas wrote into it where the table has those rows, or has none for its primitive ops
    either; else the primitive ops.

    Args:
        model: the file.
        table: the table.
        skip_unknown: price what is known, and the rest as nothing.

    Raises:
        FormatError: an operator is unknown, and not to be skipped.
        ConfigError: the file computes in another type than the rows of the table.
    """
    if model.dtype != table.conditions.dtype:
        raise ConfigError(
            f"{model.name} computes in {model.dtype}, the rows of table {table.name!r} in {table.conditions.dtype}: "
            f"price it with a table of dtype {model.dtype}"
        )
    if model.said:
        architecture = Architecture.parse(model.said)
        lacks = table.missing(executed(architecture, table.calibration.folds_constants))
        if not lacks or table.missing(model.placements):
            return architecture
    if model.unknown and not skip_unknown:
        raise FormatError(f"{model.refusal}\nto price the rest alone, say so (--skip-unknown)")
    return model
