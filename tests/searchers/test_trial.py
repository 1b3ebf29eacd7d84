from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnas.errors import FormatError
from mnas.latency import Estimate
from mnas.searchers.trial import Status, Trial
from mnas.spaces import space
from tests.strategies import architectures

floats = st.floats(allow_nan=False, allow_infinity=False)
statuses: st.SearchStrategy[Status] = st.sampled_from(["trained", "scored", "cached", "infeasible", "failed"])
trials = st.builds(
    Trial,
    index=st.integers(0, 10**6),
    encoding=st.lists(st.integers(0, 9)).map(tuple),
    architecture=architectures(space("mnasnet-small")),
    accuracy=st.none() | st.floats(0, 1),
    latency=st.builds(Estimate, floats, floats, floats),
    reward=floats,
    seed=st.integers(0, 2**32 - 1),
    status=statuses,
    seconds=st.floats(0, 1e6),
    error=st.none() | st.text(),
    score=st.none() | floats,
)


@given(trials)
def test_a_line_reads_back_to_the_same_trial(trial: Trial) -> None:
    line = trial.to_json()
    assert "\n" not in line
    assert Trial.from_json(line) == trial
    assert json.loads(line) == trial.to_dict()


def test_the_keys_of_a_line_are_stable() -> None:
    network = space("nasbench201").decode((1, 0, 2, 3, 4, 0))
    trial = Trial(3, (1, 0), network, 0.5, Estimate(1.5, 1.25, 1.75), 0.5, 9, "trained", 2.0)
    assert trial.to_json().startswith(
        '{"index":3,"status":"trained","accuracy":0.5,"latency_ms":1.5,"low_ms":1.25,"high_ms":1.75,"reward":0.5,'
        '"seed":9,"seconds":2.0,"error":null,"encoding":[1,0],"architecture":"input 3x32x32\\nstem_c16\\n'
    )


def test_a_line_of_before_there_were_scores_is_read() -> None:
    known = json.loads(row())
    del known["score"]
    assert Trial.from_json(json.dumps(known)) == Trial.from_json(row())


def row(**changes: object) -> str:
    network = space("mnasnet-small").decode((0,) * 20)
    trial = Trial(0, (0,), network, 0.5, Estimate(1, 1, 1), 0.5, 0, "trained")
    return json.dumps({**trial.to_dict(), **changes})


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{}",
        "[1, 2]",
        row()[:-10],
        row(extra=1),
        row(status="lost"),
        row(accuracy="0.5"),
        row(score=float("-inf")),
        row(reward=float("nan")),
        row(architecture="input 1x28x28\nwarpconv_c8"),
        row(encoding=[0.5]),
    ],
)
def test_what_is_not_a_trial_is_refused(line: str) -> None:
    with pytest.raises(FormatError, match="not a trial"):
        Trial.from_json(line)
