"""The role of an evaluator: how good is an architecture?"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from mnas.errors import EvaluationError
from mnas.ir import Architecture
from mnas.progress import Progress
from mnas.registry import Registry


class Evaluator(Protocol):
    """Says how good one architecture is.

    What it says depends on the architecture and the seed alone, whatever was evaluated before. Worker processes make
    their own from its description (see `describe`), so an evaluator is a dataclass of plain values in a module.
    """

    def __call__(self, architecture: Architecture, seed: int) -> float:
        """Give an accuracy, 0..1; or a score, if the evaluator is a `Scorer`."""


@runtime_checkable
class Scorer(Evaluator, Protocol):
    """An evaluator that gives no accuracy but a score: any finite number, more is better."""

    def squash(self, score: float) -> float:
        """What a reward takes in place of the accuracy, 0..1: strictly monotone in the score, and of nothing else."""


@runtime_checkable
class Preparing(Evaluator, Protocol):
    """An evaluator with work to do once, before all evaluations; optional. Searches have it done first."""

    def prepare(self, folder: Path, progress: Progress | None = None, *, workers: int = 1) -> Evaluator:
        """Do the work, keep what comes of it in files, and give the evaluator that reads them.

        What was done before, by an evaluator of the same fields, is not done again; what was interrupted goes on.

        Args:
            folder: where the files are kept; made if absent.
            progress: told how far the work is.
            workers: how many processors it may keep busy; they change the time, not what comes of it.
        """


def usual_reward(factory: Callable[..., Evaluator]) -> str | None:
    """The name of the reward that suits an evaluator best, if it says so by an attribute `usual_reward`."""
    name = getattr(factory, "usual_reward", None)
    return None if name is None else str(name)


def tells_spellings(evaluator: Evaluator) -> bool:
    """Whether equal networks of different spellings score differently.

    As in a table of results, whose zeros and dead ends were trained as they stand. Such an evaluator says so by an
    attribute `spellings`; others are given networks in canonical form.
    """
    return bool(getattr(evaluator, "spellings", False))


evaluators: Registry[Callable[..., Evaluator]] = Registry(
    "evaluator",
    ("mnas.evaluate.oneshot.evaluator", "mnas.evaluate.proxy", "mnas.evaluate.scoring", "mnas.evaluate.tabular"),
)


def describe(evaluator: Evaluator) -> str:
    """Say in JSON which evaluator this is: its module, its class, and its fields.

    Raises:
        EvaluationError: not a dataclass at the top level of a module, or a field that JSON does not hold.
    """
    cls: type[Any] = type(evaluator)
    try:
        if not is_dataclass(cls) or cls.__module__ == "__main__" or "." in cls.__qualname__:
            raise TypeError(f"{cls.__qualname__} is no dataclass at the top level of a module")
        values = {field.name: getattr(evaluator, field.name) for field in fields(cls)}
        return json.dumps({"module": cls.__module__, "class": cls.__name__, "fields": values})
    except (TypeError, ValueError) as error:
        raise EvaluationError(
            f"the evaluator cannot be sent to worker processes: {error}; "
            "make it a dataclass of plain values at the top level of a module, or use 0 workers"
        ) from None


def restore(description: str) -> Evaluator:
    """Make the evaluator that `describe` described; raises whatever its module or class raises."""
    known: dict[str, Any] = json.loads(description)
    evaluator: Evaluator = getattr(import_module(known["module"]), known["class"])(**known["fields"])
    return evaluator
