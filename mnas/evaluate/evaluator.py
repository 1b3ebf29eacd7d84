"""The role of an evaluator: how good is an architecture?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mnas.ir import Architecture
from mnas.registry import Registry


class Evaluator(Protocol):
    """Scores one architecture.

    The score depends on the architecture and the seed alone, whatever was scored before. An evaluator is sent to
    worker processes by pickle, so its class is defined in a module that can be imported.
    """

    def __call__(self, architecture: Architecture, seed: int) -> float:
        """Give an accuracy, 0..1."""


evaluators: Registry[Callable[..., Evaluator]] = Registry("evaluator", ("mnas.evaluate.proxy",))
