"""Labelled images: known data sets, the user's own, downloads. Free of torch."""

from __future__ import annotations

from mnas.evaluate.data.downloads import fetch as fetch
from mnas.evaluate.data.resizing import adapt as adapt
from mnas.evaluate.data.sources import data_home as data_home
from mnas.evaluate.data.sources import dataset as dataset
from mnas.evaluate.data.sources import datasets as datasets
from mnas.evaluate.data.splits import Dataset as Dataset
from mnas.evaluate.data.splits import SearchData as SearchData
from mnas.evaluate.data.splits import Source as Source
from mnas.evaluate.data.splits import Split as Split
from mnas.evaluate.data.splits import to_hold_out as to_hold_out
