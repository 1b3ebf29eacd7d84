"""Searches by gradients from images to an encoding."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch

from mnas.errors import ConfigError, DataError, EvaluationError, FormatError, MissingLatencyError
from mnas.latency import LatencyTable
from mnas.searchers import DartsSettings, darts
from mnas.searchers.gradients import Epoch, Landing
from mnas.spaces import Encoding, RelaxedSpace, space, values
from tests.searchers.gradients.spaces import CELLS, CHAIN, FREE, images


class Stop(Exception):  # noqa: N818 (no error)
    """Ends a search."""


def interrupted(folder: Path, searched: RelaxedSpace, settings: DartsSettings, at: int, **given: Any) -> None:
    """Start a search and stop it at a step."""

    def stop(done: int, total: int, note: str) -> None:
        if done == at:
            raise Stop

    with pytest.raises(Stop):
        darts(searched, images(), settings=settings, folder=folder, progress=stop, **given)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("searched", "order"),
    [
        pytest.param(CELLS, "first", marks=pytest.mark.slow),
        pytest.param(CELLS, "second", marks=pytest.mark.slow),
        (CHAIN, "first"),
        (CHAIN, "second"),
    ],
    ids=["cells-first", "cells-second", "chain-first", "chain-second"],
)
def test_cut_off_anywhere_a_search_goes_on_to_the_same_answer(
    searched: RelaxedSpace, order: Literal["first", "second"], tmp_path: Path
) -> None:
    settings = replace(FREE, order=order)
    whole, resumed = list[Epoch](), list[Epoch]()
    found = darts(searched, images(), settings=settings, report=whole.append, folder=tmp_path / "whole")
    values(searched, found)
    assert [epoch.epoch for epoch in whole] == [1, 2, 3]
    for at in (1, 3, 6):  # in the first epoch, which is then lost, and in the later ones
        interrupted(tmp_path / "cut", searched, settings, at)
    assert darts(searched, images(), settings=settings, report=resumed.append, folder=tmp_path / "cut") == found
    assert resumed == whole
    lines = (tmp_path / "cut" / "darts.jsonl").read_text()
    assert lines == (tmp_path / "whole" / "darts.jsonl").read_text()
    assert [json.loads(line)["encoding"] for line in lines.splitlines()][-1] == list(found)
    assert darts(searched, images(), settings=settings, folder=tmp_path / "cut") == found


@pytest.mark.slow
def test_seeds_and_progress() -> None:
    seen: list[tuple[int, int, str]] = []
    one = darts(CHAIN, images(), settings=FREE, progress=lambda *each: seen.append(each))
    assert [done for done, _, _ in seen] == [1, 2, 3, 4, 5, 6]
    assert {total for _, total, _ in seen} == {6}
    assert "epoch 3  loss " in seen[-1][2]
    assert one == darts(CHAIN, images(), settings=FREE)
    assert len({darts(CHAIN, images(), settings=replace(FREE, epochs=1), seed=seed) for seed in range(3)}) > 1


@pytest.mark.slow
def test_reports() -> None:
    reports: list[Epoch] = []
    settings = replace(FREE, epochs=2, warmup=1, eigenvalue=True, batch=4, images=8)
    darts(CHAIN, images(), settings=settings, report=reports.append)
    assert [epoch.validation_loss is None for epoch in reports] == [True, False]
    for epoch in reports:
        assert epoch.identity_share == CHAIN.identity_share(epoch.encoding)
        assert 0 < epoch.entropy <= 1
        assert epoch.eigenvalue
        assert epoch.network_ms is None
        assert f"identity {100 * epoch.identity_share:.0f} %" in epoch.summary()
        assert "eigenvalue" in epoch.summary()
    assert reports[0].entropy > 0.99999 > reports[-1].entropy


def test_a_search_that_collapses_ends_early(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The answer is the network of the epoch before."""
    told: list[Encoding] = []

    def share(self: object, encoding: Encoding) -> float:
        told.append(encoding)
        return 0.2 * len(told)

    monkeypatch.setattr(type(CHAIN), "identity_share", share)
    reports: list[Epoch] = []
    settings = replace(FREE, epochs=9, collapse=0.5, alpha_lr=0.1, images=16)
    found = darts(CHAIN, images(), settings=settings, report=reports.append, folder=tmp_path)
    assert [round(epoch.identity_share, 1) for epoch in reports] == [0.2, 0.4, 0.6]
    assert found == reports[-2].encoding
    assert darts(CHAIN, images(), settings=settings, folder=tmp_path) == found


def test_a_warm_up_does_not_collapse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does the first epoch that moves the decisions: there is no answer before it."""
    monkeypatch.setattr(type(CHAIN), "identity_share", lambda self, encoding: 1.0)
    reports: list[Epoch] = []
    found = darts(CHAIN, images(), settings=replace(FREE, epochs=6, warmup=2, collapse=0.5), report=reports.append)
    assert len(reports) == 4
    assert found == reports[2].encoding


@pytest.mark.slow
def test_a_collapsed_network_is_no_answer_because_it_is_fast(
    monkeypatch: pytest.MonkeyPatch, table: LatencyTable
) -> None:
    """The epoch before the collapse is over the target, and nothing before was within."""
    shares = iter((0.0, 0.0, 1.0))
    monkeypatch.setattr(type(CHAIN), "identity_share", lambda self, encoding: next(shares))
    updates = iter(range(100))

    def update(self: Landing, encoding: Encoding, high_ms: float) -> None:
        self.within = (9,) if next(updates) >= 4 else None

    monkeypatch.setattr(Landing, "update", update)
    reports: list[Epoch] = []
    settings = replace(FREE, epochs=5, collapse=0.5, land=True)
    found = darts(CHAIN, images(), table=table, target_ms=1e-3, settings=settings, report=reports.append)
    assert [epoch.within for epoch in reports] == [None, None, (9,)]
    assert found == reports[1].encoding


@pytest.mark.slow
def test_lambda_lands_on_the_target(table: LatencyTable) -> None:
    """Without it the search takes a slower network; the fastest takes 0.0724 ms."""
    settings, target_ms = DartsSettings(epochs=8, images=64, batch=8, alpha_lr=0.1), 0.074
    reports: list[Epoch] = []
    found = darts(CHAIN, images(), table=table, target_ms=target_ms, settings=settings, report=reports.append)
    free = darts(CHAIN, images(), table=table, target_ms=target_ms, settings=replace(settings, land=False))
    assert table.predict(CHAIN.decode(free)).ms > target_ms
    assert 0.98 * target_ms < table.predict(CHAIN.decode(found)).high_ms <= target_ms
    assert len({epoch.latency_weight for epoch in reports}) > 1
    assert all(epoch.expected_ms and epoch.network_ms for epoch in reports)
    assert "lambda" in reports[-1].summary()


@pytest.mark.slow
def test_a_heavy_weight_finds_the_fastest_network(table: LatencyTable) -> None:
    settings = DartsSettings(epochs=6, images=64, batch=8, alpha_lr=0.1, land=False, latency_weight=1e3)
    found = darts(CHAIN, images(), table=table, target_ms=0.1, settings=settings)
    fastest = table.predict(CHAIN.decode(found)).ms
    for i, choice in enumerate(CHAIN.choices):
        for option in range(len(choice.options)):
            other = (*found[:i], option, *found[i + 1 :])
            assert table.predict(CHAIN.decode(other)).ms >= fastest - 1e-9


@pytest.mark.slow
def test_a_resumed_search_lands_alike(table: LatencyTable, tmp_path: Path) -> None:
    settings = replace(FREE, land=True)
    reports: list[Epoch] = []
    found = darts(CHAIN, images(), table=table, target_ms=0.1, settings=settings, report=reports.append)
    interrupted(tmp_path, CHAIN, settings, 5, table=table, target_ms=0.1)
    resumed: list[Epoch] = []
    again = darts(
        CHAIN, images(), table=table, target_ms=0.1, settings=settings, report=resumed.append, folder=tmp_path
    )
    assert (again, resumed) == (found, reports)


def test_latency_needs_a_table_and_a_target(table: LatencyTable) -> None:
    for settings in (replace(FREE, land=True), replace(FREE, latency_weight=0.5)):
        for given in ({}, {"table": table}, {"target_ms": 1.0}):
            with pytest.raises(ConfigError, match=r"latency counts in this search of space chain \(land = .*give both"):
                darts(CHAIN, images(), settings=settings, **given)
    lacking = replace(table, rows=dict(list(table.rows.items())[1:]))
    with pytest.raises(MissingLatencyError):
        darts(CHAIN, images(), table=lacking, target_ms=1.0, settings=replace(FREE, latency_weight=0.5))
    with pytest.raises(ConfigError, match="target_ms must be a positive number"):
        darts(CHAIN, images(), table=table, target_ms=-1.0, settings=replace(FREE, latency_weight=0.5))


def test_what_cannot_be_searched() -> None:
    with pytest.raises(ConfigError, match="space nasnet cannot be searched by gradients"):
        darts(space("nasnet"), images(), settings=FREE)
    with pytest.raises(ConfigError, match=r"normal cells would get no gradient.*at least 3 cells"):
        darts(CELLS, images(), settings=replace(FREE, cells=2))
    with pytest.raises(ConfigError, match="space chain has 3 classes, rows has 4"):
        darts(CHAIN, images(classes=4), settings=FREE)
    with pytest.raises(DataError, match=r"rows has 20 training images, halves of 10: too few for batches of 16"):
        darts(CHAIN, images(20), settings=replace(FREE, batch=16))
    with pytest.raises(ConfigError, match="torch_device 'gpu'"):
        darts(CHAIN, images(), settings=FREE, torch_device="gpu")


def test_a_search_that_diverges() -> None:
    with pytest.raises(EvaluationError, match=r"the search diverged: .*may be too high"):
        darts(CHAIN, images(), settings=replace(FREE, epochs=20, lr=1e30, clip=1e30))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"order": "third"}, "order must be first or second"),
        ({"batch": 1}, "batch must be at least 2 images, as batch norm needs"),
        ({"images": 15}, "15 images give no batch of 8 in either half"),
        ({"epochs": 0}, "epochs > warmup"),
        ({"warmup": 3}, "epochs > warmup"),
        ({"lr": 0.0}, "lr must be above 0"),
        ({"least_lr": 1.0}, "least_lr must be in 0..lr, got 1.0 and lr 0.025"),
        ({"alpha_lr": float("nan")}, "alpha_lr must be above 0"),
        ({"latency_weight": -1.0}, "latency_weight must be at least 0"),
        ({"momentum": 1.0}, "momentum must be at least 0 and below 1"),
        ({"collapse": 1.5}, "collapse must be in 0"),
    ],
)
def test_settings_are_checked(given: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(FREE, **given)  # type: ignore[arg-type]


def test_rates_follow_half_a_cosine() -> None:
    settings = DartsSettings(epochs=4)
    assert [settings.rate(epoch) for epoch in range(4)] == pytest.approx([0.025, 0.0214853, 0.013, 0.0045147], rel=1e-5)


def test_another_search_is_not_continued(tmp_path: Path) -> None:
    interrupted(tmp_path, CHAIN, FREE, 5)
    for given in ({"settings": replace(FREE, lr=0.1)}, {"settings": FREE, "seed": 1}):
        with pytest.raises(ConfigError, match=r"darts.pt is of another search: (lr|seed) \(0.025|0 there"):
            darts(CHAIN, images(), folder=tmp_path, **given)


@pytest.mark.parametrize("damage", ["cut", "text", "pickle", "other"])
def test_damaged_checkpoints(tmp_path: Path, damage: str) -> None:
    interrupted(tmp_path, CHAIN, FREE, 5)
    path = tmp_path / "darts.pt"
    match damage:
        case "cut":
            path.write_bytes(path.read_bytes()[:-100])
        case "text":
            path.write_text("hello")
        case "pickle":
            torch.save({"format": Path("x")}, path)
        case _:
            state = torch.load(path, weights_only=True)
            state["model"]["network"].popitem()
            torch.save(state, path)
    with pytest.raises(FormatError, match=r"darts.pt is (damaged|of another version)"):
        darts(CHAIN, images(), settings=FREE, folder=tmp_path)
