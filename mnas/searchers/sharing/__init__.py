"""Searching by reinforcement learning over shared weights that are trained meanwhile; what needs torch is not here."""

from __future__ import annotations

from mnas.searchers.sharing.found import TUNAS as TUNAS
from mnas.searchers.sharing.found import search_of as search_of
