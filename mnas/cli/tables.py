"""`mnas tables`."""

from __future__ import annotations

import click

from mnas.cli.lazy import LazyGroup

VERBS = {
    "list": "List the tables that are found by name.",
    "show": "Print the conditions, validation and slowest rows of a table.",
    "validate": "Check files, rows, units and verdict of tables, and whether they cover a space.",
    "diff": "Compare two tables.",
    "merge": "Add the rows of one table to another, at its speed.",
    "import": "Make a table of a published one.",
    "transfer": "Make a table for a device from those of others and a few networks measured on it.",
}
"""Verb -> one line of help; the module of `table_verbs` of the same name holds the command `command`."""


class _Verbs(LazyGroup):
    package, title, verbs = "mnas.cli.table_verbs", "Verbs", VERBS


@click.group("tables", cls=_Verbs)
def command() -> None:
    """Look at latency tables, check, compare, merge and import them.

    \b
    Example:
      mnas tables show my_table
    """
