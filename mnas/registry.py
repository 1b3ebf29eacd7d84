"""Names for things that plug in: one registry per role, filled by decorators and by entry points."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import entry_points
from threading import RLock
from typing import Generic, TypeVar

from mnas.errors import UnknownNameError

T = TypeVar("T")
PLUGINS = "mnas.plugins"
"""Entry-point group whose modules are imported when a name is looked up; importing them registers."""


class Registry(Generic[T]):
    """A mapping from name to plug-in of one role (`kind`).

    Args:
        kind: what the entries are, for messages: "search space", "runtime".
        builtin: modules of mnas that register entries when imported; they are imported on first use.
    """

    def __init__(self, kind: str, builtin: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self._pending = builtin
        self._entries: dict[str, T] = {}
        self._loaded = False
        self._loading = RLock()

    def register(self, name: str) -> Callable[[T], T]:
        """Make a decorator that enters its target as `name`.

        Raises:
            ValueError: the name is taken.
        """

        def decorate(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"{self.kind} {name!r} is already registered: {self._entries[name]!r}")
            self._entries[name] = entry
            return entry

        return decorate

    def __getitem__(self, name: str) -> T:
        self._load()
        if name not in self._entries:
            raise UnknownNameError(self.kind, name, list(self._entries))
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        self._load()
        return iter(sorted(self._entries))

    def _load(self) -> None:
        with self._loading:  # another thread waits; what is being imported may ask again
            if self._loaded:
                return
            self._loaded = True
            for module in self._pending:
                import_module(module)
            for entry in entry_points(group=PLUGINS):
                entry.load()
