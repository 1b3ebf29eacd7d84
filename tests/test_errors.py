from __future__ import annotations

import copy
import pickle

import pytest

from mnas import errors
from mnas.errors import MissingLatencyError, MnasError, SpanError, UnknownNameError

EXAMPLES: list[MnasError] = [
    UnknownNameError("searcher", "annealing", ["random"]),
    MissingLatencyError("phone", ["conv", "pool"], "mnas profile"),
    SpanError("too large", 1.5),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_comes_back_from_another_process(error: MnasError) -> None:
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is type(error)
        assert str(again) == str(error)
        assert vars(again) == vars(error)


def test_so_does_every_other() -> None:
    plain = {cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, MnasError)}
    for cls in plain - {type(error) for error in EXAMPLES}:
        again = pickle.loads(pickle.dumps(cls("it broke")))
        assert (type(again), str(again)) == (cls, "it broke")
