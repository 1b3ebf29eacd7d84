"""The benchmark of what ranks networks cheaply."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import proxies
from benchmarks.proxies import LONG, SHORT, Job, Measured, Setup, best_of, correlations, drawn, measurements, recall
from mnas.errors import ConfigError, FormatError
from mnas.spaces import space
from tests.searchers.fakes import ToySpace

SMALL = Setup("digits", "mnasnet-small", 8, images=32, epochs=1, validation=32, few=32, batch=8)


def frame(values: dict[str, dict[int, list[float]]]) -> pd.DataFrame:
    """What proxies say of networks a, b, c, ..., by seed."""
    return pd.DataFrame(
        [
            Measured(proxy, chr(97 + i), seed, value, 1.0)
            for proxy, seeds in values.items()
            for seed, said in seeds.items()
            for i, value in enumerate(said)
        ]
    )


def test_a_proxy_is_judged_by_the_longer_training_of_other_seeds() -> None:
    rising, falling = [1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0]
    found = correlations(
        frame(
            {
                LONG: {0: rising, 1: [1.0, 2.0, 4.0, 3.0]},
                "macs": {0: rising, 1: rising},
                "luck": {0: falling, 1: rising},
            }
        )
    ).set_index("proxy")
    assert found.spearman[LONG] == pytest.approx(0.8)
    assert found.spearman["macs"] == pytest.approx((0.8 + 1.0) / 2)
    assert found.spearman["luck"] == pytest.approx((-0.8 + 1.0) / 2)
    assert found.kendall[LONG] == pytest.approx(2 / 3)
    assert found.seeds.tolist() == [2, 2, 2]
    assert found.networks.tolist() == [4, 4, 4]


def test_best_of_draws() -> None:
    said = pd.DataFrame({"oracle": np.arange(20.0), "worst": -np.arange(20.0)})
    lines = {line["proxy"]: line for line in best_of(said, pd.Series(np.arange(20.0)), (10, 20))}
    assert lines["oracle"]["best_of_20_percent"] == 19
    assert lines["worst"]["best_of_20_percent"] == 0
    assert 0 < float(str(lines["worst"]["best_of_10_percent"])) < float(str(lines["oracle"]["best_of_10_percent"])) < 19


def test_networks_are_drawn_once_and_span_the_space() -> None:
    small = space("mnasnet-small", image_size=8)
    texts = drawn(small, 12)
    assert len(set(texts)) == 12
    assert texts == drawn(small, 12)
    assert texts[:6] == drawn(small, 20)[:6]
    assert not set(texts) & set(drawn(small, 12, seed=1))
    with pytest.raises(ConfigError, match=r"space toy gave \d+ networks, not 1000"):
        drawn(ToySpace(), 1000)


@pytest.mark.slow
def test_a_journal_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts, journal = drawn(space("mnasnet-small", image_size=8), 2), tmp_path / "journal.jsonl"
    jobs = [Job(proxy, text, 0) for proxy in (LONG, SHORT, "macs", "naswot") for text in texts]
    whole = measurements(SMALL, jobs, journal, 1)
    assert set(whole.proxy) == {LONG, SHORT, proxies.BLIND, "macs", "naswot"}
    assert whole.value.notna().all()
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join(lines[:-1]) + "\n" + lines[-1][:20])
    assert len(recall(SMALL, journal)) == len(jobs) - 1
    again = measurements(SMALL, jobs, journal, 1)
    pd.testing.assert_frame_equal(again.drop(columns="cpu_seconds"), whole.drop(columns="cpu_seconds"))
    assert [json.loads(line)[0] for line in journal.read_text().splitlines()[1:]] == [list(job) for job in jobs]
    with pytest.raises(FormatError, match="holds measurements of other settings"):
        measurements(replace(SMALL, few=16), jobs, journal, 1)


@pytest.mark.slow
def test_weights_are_trained_once_a_seed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proxies, "WEIGHTS", tmp_path)
    text = "supernet:epochs=1:images=32:batch=8:validation=64"
    (network,) = drawn(space("mnasnet-small", image_size=8), 1)
    values = {}
    for seed in (0, 1):
        (prepared,) = proxies.measure(SMALL, Job(text, proxies.PREPARED, seed))
        assert prepared.cpu_seconds > 0
        (said,) = proxies.measure(SMALL, Job(text, network, seed))
        values[seed] = said.value
    files = sorted(tmp_path.rglob("supernet.pt"))
    assert [file.parent.name for file in files] == ["0", "1"]
    assert files[0].read_bytes() != files[1].read_bytes()
    assert values[0] != values[1]
