"""Which search space tables are of."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from mnas.errors import ConfigError, MnasError
from mnas.ir import Architecture
from mnas.latency.table import LatencyTable
from mnas.spaces import SearchSpace, space, spaces

_GIVE = "say which space with --space, and its --image-size, --channels and --classes if they are not its own"


def recognise(tables: Sequence[LatencyTable]) -> SearchSpace:
    """Find the registered space whose every row is in all tables, the largest if there are several.

    The shape of its input and the number of classes are those of the first network that was measured.

    Raises:
        ConfigError: no table, tables without networks, or no such space.
    """
    networks = [network.architecture for table in tables for network in table.networks]
    if not networks:
        names = ", ".join(table.name for table in tables) or "no table"
        raise ConfigError(f"{names}: no whole network was measured, so the space is not known; {_GIVE}")
    network = Architecture.parse(networks[0])
    found: dict[int, SearchSpace] = {}
    for name in spaces:
        with suppress(MnasError, TypeError):  # not for this shape, or a plug-in of other settings
            each = space(name, classes=network.placements[-1].y.c, image_size=network.x.h, channels=network.x.c)
            if each.x == network.x and _covered(each, tables):
                found[sum(1 for _ in each.placements())] = each
    if not found:
        raise ConfigError(
            f"{', '.join(table.name for table in tables)}: the rows they have in common are those of no space with "
            f"input {network.x}; {_GIVE}"
        )
    return found[max(found)]


def _covered(each: SearchSpace, tables: Sequence[LatencyTable]) -> bool:
    return all(placement in table.rows for placement in each.placements() for table in tables)
