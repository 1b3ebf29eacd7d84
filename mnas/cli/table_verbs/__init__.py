"""The verbs of `mnas tables`: one file each, which parses, calls and prints."""

from __future__ import annotations
