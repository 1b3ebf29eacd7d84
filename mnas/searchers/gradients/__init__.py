"""Searching by gradients; `search` needs torch and is loaded when first used."""

from __future__ import annotations

from mnas.searchers.gradients.landing import Landing as Landing
from mnas.searchers.gradients.settings import DartsSettings as DartsSettings
from mnas.searchers.gradients.settings import Epoch as Epoch
