from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from mnas.errors import ConfigError
from mnas.latency import LatencyTable, recognise
from mnas.spaces import SearchSpace, spaces
from tests.latency.fakes import tiny


def small(classes: int = 10, image_size: int = 8, channels: int = 1) -> SearchSpace:
    if (image_size, channels) != (8, 1):
        raise ConfigError("8 px of one channel only")
    return tiny(classes)


def large(classes: int = 10, image_size: int = 8, channels: int = 1) -> SearchSpace:
    return tiny(classes, stages=2)


@pytest.fixture
def registered() -> Iterator[None]:
    list(spaces)
    spaces.register("tiny")(small)
    spaces.register("a-tiny-of-two-stages")(large)
    yield
    del spaces._entries["tiny"], spaces._entries["a-tiny-of-two-stages"]


@pytest.mark.usefixtures("registered")
def test_the_space_of_a_table_is_told_by_its_rows(table: LatencyTable) -> None:
    assert recognise([table, table]) == tiny()


def test_rows_of_no_space_ask_for_one(table: LatencyTable) -> None:
    with pytest.raises(ConfigError, match=r"of no space with input 1x8x8; say which space with --space"):
        recognise([table])


@pytest.mark.usefixtures("registered")
def test_rows_that_only_one_table_has_do_not_count(table: LatencyTable) -> None:
    half = replace(table, rows=dict(list(table.rows.items())[:5]))
    with pytest.raises(ConfigError, match="those of no space"):
        recognise([table, half])


def test_tables_without_networks_ask_for_a_space(table: LatencyTable) -> None:
    with pytest.raises(ConfigError, match=f"{table.name}: no whole network was measured"):
        recognise([replace(table, networks=())])
    with pytest.raises(ConfigError, match="no table"):
        recognise([])
