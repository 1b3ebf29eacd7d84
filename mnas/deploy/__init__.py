"""Turning a trained network into files a device runs, with proof that they compute the same."""

from __future__ import annotations

from mnas.deploy.exporting import ExportedFile as ExportedFile
from mnas.deploy.exporting import export as export
from mnas.deploy.sources import architecture_of as architecture_of
from mnas.deploy.sources import network_of as network_of
from mnas.deploy.sources import train_target as train_target
