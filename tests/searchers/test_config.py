from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from mnas.errors import ConfigError
from mnas.searchers.config import SearchConfig, differing_keys, load_config, make_config
from mnas.searchers.reward import make_reward
from mnas.searchers.searcher import make_searcher
from mnas.spaces import space
from tests.searchers.fakes import MacsLatency, toy_objective

SAMPLE = Path(__file__).parents[2] / "examples" / "search.toml"
GIVEN = {"space": "mnasnet-small", "data": "digits", "table": "local", "target_ms": 0.5}


def test_the_sample_is_valid_and_shows_every_key() -> None:
    config = load_config(SAMPLE)
    small = space(config.space)
    objective = toy_objective(small, latency=MacsLatency())
    make_searcher(config.searcher, small, config.seed, config.searcher_options, objective)
    assert config.reward is not None
    make_reward(config.reward, config.target_ms)
    shown = SAMPLE.read_text().replace("# ", "")
    assert [key for key in SearchConfig.model_fields if f"\n{key} = " not in shown and f"[{key}]" not in shown] == []


def test_the_sample_shows_the_defaults() -> None:
    shown = tomllib.loads(SAMPLE.read_text())
    for key, field in SearchConfig.model_fields.items():
        if key in shown and not field.is_required() and field.default is not None and field.default_factory is None:
            assert shown[key] == field.default, key


def test_it_reads_back_from_its_own_text(tmp_path: Path) -> None:
    config = make_config(
        {**GIVEN, "beta": -0.5, "searcher_options": {"population": 5}, "evaluator_options": {"lr": 0.1}}
    )
    (tmp_path / "c.toml").write_text(config.to_toml())
    assert load_config(tmp_path / "c.toml") == config
    assert "alpha" not in config.to_toml()


def test_overrides_win_over_flags_and_flags_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(
        'space = "mnasnet"\ndata = "digits"\ntable = "t"\ntarget_ms = 1\ntrials = 5\nseed = 1\n'
    )
    config = load_config(
        tmp_path / "c.toml",
        ["seed=3", "searcher_options.population=50", "table=pixel4", "train_infeasible = true", "data='a=b'"],
        {"trials": 7, "seed": 2, "space": None},
    )
    assert (config.space, config.trials, config.seed, config.table, config.data) == ("mnasnet", 7, 3, "pixel4", "a=b")
    assert config.searcher_options == {"population": 50}
    assert config.train_infeasible is True
    assert config.target_ms == 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targetms": 1}, r"unknown key 'targetms'; known: space, classes, .* torch_device"),
        ({"target_ms": 0}, "target_ms: input should be greater than 0, got 0"),
        ({"target_ms": float("nan")}, "target_ms: input should be a finite number"),
        ({"trials": 0}, "trials: .* got 0"),
        ({"trials": "many"}, "trials: input should be a valid integer, got 'many'"),
        ({"trials": True}, "trials: input should be a valid integer"),
        ({"alpha": 0.1}, "alpha: input should be less than or equal to 0"),
        ({"seed": -1}, "seed: "),
        ({"searcher_options": {"population": [1]}}, "searcher_options.population: "),
        ({"target_ms": 0, "trials": 0}, "target_ms: .*; trials: "),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_config({**GIVEN, **changes})


def test_missing_keys_files_and_bad_overrides(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'target_ms' is missing"):
        load_config(None, flags={"space": "mnasnet", "data": "digits", "table": "t"})
    with pytest.raises(ConfigError, match=r"cannot read the settings .*none.toml.*No such file"):
        load_config(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("space = = 1")
    with pytest.raises(ConfigError, match=r"bad.toml is not TOML"):
        load_config(tmp_path / "bad.toml")
    for override in ("seed", "=3"):
        with pytest.raises(ConfigError, match="an override is key=value"):
            load_config(None, [override], GIVEN)
    with pytest.raises(ConfigError, match="seed is not a table"):
        load_config(None, ["seed.x=3"], {**GIVEN, "seed": 1})
    with pytest.raises(ConfigError, match="unknown key 'sead'"):
        load_config(None, ["sead=3"], GIVEN)


def test_differing_keys_leave_out_what_does_not_change_the_trials() -> None:
    config = make_config({**GIVEN, "trials": 50})
    assert differing_keys(config, make_config({**GIVEN, "trials": 60, "workers": 7})) == []
    assert differing_keys(config, make_config({**GIVEN, "trials": 40, "seed": 3})) == [
        "trials (50 there, 40 here)",
        "seed (0 there, 3 here)",
    ]


def test_options_of_a_config_reach_their_check() -> None:
    config = make_config({**GIVEN, "searcher_options": {"populaton": 3}})
    with pytest.raises(ConfigError, match="populaton"):
        make_searcher(config.searcher, space("mnasnet-small"), 0, config.searcher_options)
