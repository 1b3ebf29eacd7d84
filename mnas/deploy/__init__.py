"""Turning a trained network into files a device runs, with proof that they compute the same.

Names that need torch are loaded when first used: naming an architecture does not.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mnas.deploy.finalists import confirmed as confirmed
from mnas.deploy.sources import architecture_of as architecture_of
from mnas.deploy.sources import network_of as network_of
from mnas.deploy.sources import train_target as train_target

if TYPE_CHECKING:
    from mnas.deploy.exporting import ExportedFile as ExportedFile
    from mnas.deploy.exporting import export as export

_WITH_TORCH = {"ExportedFile": "exporting", "export": "exporting"}


def __getattr__(name: str) -> Any:
    if name not in _WITH_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WITH_TORCH[name]}"), name)
