"""The `mnas` command: verbs that are imported when used, and errors turned into messages and exit codes."""

from __future__ import annotations

import shlex
import sys
import traceback
from importlib.metadata import version

import click

from mnas.cli.lazy import LazyGroup
from mnas.errors import MnasError

VERBS = {
    "profile": "Measure the ops of a search space on a device: a latency table.",
    "tables": "Look at latency tables, check, compare, merge and import them.",
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


class _Verbs(LazyGroup):
    package, title, verbs = "mnas.cli", "Verbs, in the order of the job", VERBS


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
    context: click.Context | None = None
    try:
        with group.make_context("mnas", list(arguments)) as context:
            group.invoke(context)
        return 0
    except click.exceptions.NoArgsIsHelpError as help_text:
        click.echo(help_text.format_message(), err=True)
        return 2
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return _said(f"interrupted{_resumes(arguments)}", 130)
    except (MnasError, OSError) as error:
        if context is not None and context.obj:
            traceback.print_exc()
        if isinstance(error, MnasError):
            return _said(str(error), error.exit_code)
        where = f": {error.filename}" if error.filename else ""
        return _said(f"{error.strerror or error}{where}{_resumes(arguments)}", 1)


def _said(message: str, code: int) -> int:
    click.echo(f"mnas: {message}", err=True)
    return code


def _resumes(arguments: list[str]) -> str:
    """How to go on after an interruption, for verbs that keep what is finished."""
    if not {"profile", "search", "demo"} & set(arguments[:1]) and arguments[:2] != ["tables", "transfer"]:
        return ""
    return f"; what is finished is kept, go on with: {shlex.join(['mnas', *arguments])}"
