"""The `mnas` command: verbs that are imported when used, and errors turned into messages and exit codes."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import version

import click

from mnas.errors import MnasError

VERBS = {
    "profile": "Measure the ops of a search space on a device: a latency table.",
    "tables": "Look at latency tables.",
    "predict": "Price a network with a latency table.",
    "search": "Search for the best network within a latency budget.",
    "train": "Train a network, or the best one of a run.",
    "export": "Write a network as verified ONNX and TFLite files.",
    "bench": "Measure model files on a device, against a table's anchors.",
    "demo": "Do all of it on this host and print one table.",
    "devices": "List devices.",
    "data": "Fetch data sets.",
}
"""Verb -> one line of help; the module of the same name holds the command `command`."""


class _Verbs(click.Group):
    """A group whose commands are imported when they are run, so that `mnas --help` loads nothing."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = import_module(f"mnas.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs, in the order of the job"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(version("mnas"), prog_name="mnas")
def group() -> None:
    """Hardware-aware mobile neural architecture search.

    From your device to a deployable network within your latency budget: profile, search, train, export, bench.

    \b
    Example:
      mnas demo --data digits --quick
    """


def main() -> None:
    """Run the command line and exit.

    0 ok, 1 failure, 2 usage or configuration, 3 device, 4 a check failed, 5 rows missing, 130 interrupted.
    """
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command line on `arguments` and give the exit code."""
    try:
        result = group.main(arguments, prog_name="mnas", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as help_text:
        click.echo(help_text.format_message(), err=True)
        return 2
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("mnas: interrupted; what was finished is saved, the same command goes on from there", err=True)
        return 130
    except MnasError as error:
        click.echo(f"mnas: {error}", err=True)
        return error.exit_code
    except OSError as error:
        return _failed(error)
    return result if isinstance(result, int) else 0


def _failed(error: OSError) -> int:
    """Say what the system refused: a full disk, a folder that cannot be written."""
    what = error.strerror or str(error)
    where = f": {error.filename}" if error.filename else ""
    click.echo(f"mnas: {what}{where}; what was finished is saved, the same command goes on from there", err=True)
    return 1
