"""The command line: one file per verb, each parses, calls and prints."""

from __future__ import annotations

from mnas.cli.app import main as main
