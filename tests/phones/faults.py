"""What can go wrong with a phone, to be switched on by tests."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Point = Literal["push", "pushing", "pushed", "pull", "pulling", "pulled", "run", "running", "ran"]
"""Before, in the middle of, and after a copy or a command; after, the other side has not heard of it yet."""
Action = Literal["unplug", "drop", "reboot", "hang", "full", "kill"]
"""Vanish until plugged in again; drop the connection and be back at once; the same with every process dead; answer
nothing; have no space left (pushes); kill the command's whole group (commands)."""


@dataclass
class Fault:
    """One fault.

    Attributes:
        point: when it strikes.
        action: what happens.
        match: regular expression that the command or the path on the phone must hold.
        skip: how many matches it lets pass.
        times: how many it strikes after those.
    """

    point: Point
    action: Action
    match: str = ""
    skip: int = 0
    times: int = 1

    def strikes(self, point: Point, what: str) -> bool:
        """Whether it strikes now; counts."""
        if point != self.point or self.times == 0 or not re.search(self.match, what):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True
