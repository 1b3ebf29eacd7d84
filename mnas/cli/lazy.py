"""A group of verbs that are imported when they are run, so that `--help` loads nothing."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from keyword import iskeyword
from typing import ClassVar

import click


class LazyGroup(click.Group):
    """A group to subclass: every verb is a module of `package` that holds the click command `command`.

    The module is named after its verb, with an underscore behind it where Python keeps the word for itself.

    Attributes:
        package: where the modules are.
        title: heads the list of verbs in the help.
        verbs: verb -> one line of help, in the order of the help.
    """

    package: ClassVar[str]
    title: ClassVar[str]
    verbs: ClassVar[Mapping[str, str]]

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.verbs)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.verbs:
            return None
        module = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command: click.Command = import_module(f"{self.package}.{module}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section(self.title):
            formatter.write_dl(list(self.verbs.items()))
