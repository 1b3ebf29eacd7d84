"""From names to a running search: `mnas.search`, and what the command line calls."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from mnas.errors import ConfigError, UnknownNameError
from mnas.evaluate import Evaluator, Scorer, dataset, evaluators, tells_spellings, usual_reward
from mnas.latency import LatencyTable, OnMissing, load_table
from mnas.progress import Progress
from mnas.searchers.config import SearchConfig, make_config
from mnas.searchers.finding import FINDERS, Found
from mnas.searchers.objective import Objective
from mnas.searchers.options import check_options, parameters
from mnas.searchers.preparing import executor_of
from mnas.searchers.reward import make_reward
from mnas.searchers.run import Run, finalists_into, search_into
from mnas.searchers.searcher import HasEntropy, Searcher, make_searcher, searchers
from mnas.searchers.tally import Tally
from mnas.searchers.trial import Trial
from mnas.spaces import SearchSpace
from mnas.spaces import space as make_space

_REWARD = "asymmetric"
"""The reward of evaluators that do not ask for another."""


def search(
    space: SearchSpace | str,
    *,
    data: str | Path | None = None,
    table: LatencyTable | str | Path,
    target_ms: float,
    run: str | Path,
    on_missing: OnMissing = "error",
    trials: int = 100,
    finalists: int = 0,
    seed: int = 0,
    reward: str | None = None,
    alpha: float | None = None,
    beta: float | None = None,
    accuracy_power: float | None = None,
    searcher: str = "surrogate",
    searcher_options: Mapping[str, int | float | bool | str] | None = None,
    evaluator: str = "proxy",
    evaluator_options: Mapping[str, int | float | bool | str] | None = None,
    finalists_evaluator: str = "proxy",
    finalists_options: Mapping[str, int | float | bool | str] | None = None,
    batch: int = 8,
    workers: int = 2,
    train_infeasible: bool = False,
    data_folder: str | Path | None = None,
    torch_device: str = "cpu",
    progress: Progress | None = None,
) -> Run:
    """Search for the best network within a latency target; a run that exists is continued.

    Args:
        space: a search space or its name; by name, classes and image are those of the data.
        data: name or path of a data set (see `mnas.dataset`); evaluator "table" needs none.
        table: a latency table, its path or its name.
        target_ms: feasible is what the table predicts to be within this, upper bound included.
        run: folder of the run; made if absent.
        on_missing: "estimate" the rows that the table lacks, or raise an "error".
        trials: number of networks to evaluate; repeats and infeasible networks are free.
        finalists: evaluate so many of the best again, by a dearer evaluator; the answer is then the best of them.
        seed: of the searcher and the evaluations.
        reward: "asymmetric", "absolute", "soft" or "hard" (see `make_reward`); if not given "asymmetric", but
            "absolute" for evaluator "supernet" and searcher "tunas".
        alpha: exponent within the target, in place of the reward's own.
        beta: exponent or slope beyond the target, in place of the reward's own.
        accuracy_power: the accuracy counts to this power in the reward, in place of 1.
        searcher: "surrogate", "reinforce", "ppo", "evolution", "local", "random" or "optuna" (see `make_searcher`), or
            "darts" (gradients, see `darts`) or "tunas" (reinforcement learning over shared weights, see
            `tunas`), which find one network and evaluate that.
        searcher_options: its options.
        evaluator: "proxy" (a short training), "supernet" (weights that all networks share, trained first), "naswot" (a
            training-free score) or "table" (a table of results).
        evaluator_options: its options, such as {"images": 10000, "epochs": 6}.
        finalists_evaluator: the dearer evaluator.
        finalists_options: its options.
        batch: encodings asked at once.
        workers: processes that evaluate, and threads that train shared weights; they change the time, not the trials.
        train_infeasible: train networks over the target too, as the papers do.
        data_folder: where the files of a named data set are, if not in their usual place.
        torch_device: where to train: "cpu", "cuda", "cuda:1" or "mps".
        progress: called with the evaluations done, their number in all, and a line on the last trial.

    Raises:
        ConfigError: a setting that is wrong, or not that of the run in the folder.
        CheckError: no network of the space is within the target, or the table is of an emulated processor.
        DataError, UnknownNameError, MissingLatencyError, FormatError: what is named is missing or damaged.
    """
    config = make_config(
        {
            "space": space if isinstance(space, str) else space.name,
            "classes": None if isinstance(space, str) else space.classes,
            "image_size": None if isinstance(space, str) else space.x.h,
            "channels": None if isinstance(space, str) else space.x.c,
            "data": None if data is None else str(data),
            "data_folder": None if data_folder is None else str(data_folder),
            "table": (table.path or table.name) if isinstance(table, LatencyTable) else str(table),
            "on_missing": on_missing,
            "target_ms": target_ms,
            "reward": reward,
            "alpha": alpha,
            "beta": beta,
            "accuracy_power": accuracy_power,
            "searcher": searcher,
            "searcher_options": dict(searcher_options or {}),
            "evaluator": evaluator,
            "evaluator_options": dict(evaluator_options or {}),
            "trials": trials,
            "finalists": finalists,
            "finalists_evaluator": finalists_evaluator,
            "finalists_options": dict(finalists_options or {}),
            "batch": batch,
            "workers": workers,
            "seed": seed,
            "train_infeasible": train_infeasible,
            "torch_device": torch_device,
        }
    )
    given_space = None if isinstance(space, str) else space
    given_table = table if isinstance(table, LatencyTable) else None
    return _search(config, Path(run), given_space, given_table, progress)


def search_run(config: SearchConfig, run: str | Path, *, progress: Progress | None = None) -> Run:
    """Search by a configuration; everything is looked up by name (see `search`).

    Args:
        config: the settings.
        run: folder of the run; made if absent, continued if it holds a search of the same settings.
        progress: called with the evaluations done, their number in all, and a line on the last trial.
    """
    return _search(config, Path(run), None, None, progress)


def make_evaluator(config: SearchConfig) -> Evaluator:
    """Make the evaluator of a search; of what the search knows it is given what it takes.

    Raises:
        UnknownNameError: no such evaluator.
        ConfigError: an unknown or ill-typed option (the known ones are listed), one that is missing, or no data.
        DataError: a table of results that cannot be read.
    """
    factory = evaluators[config.evaluator]
    shared = {
        "data": config.data,
        "folder": config.data_folder,
        "torch_device": config.torch_device,
        "space": config.space,
        "classes": config.classes,
        "image_size": config.image_size,
        "channels": config.channels,
        "seed": config.seed,
    }
    given = {name: value for name, value in shared.items() if name in parameters(factory)}
    options = check_options(f"evaluator {config.evaluator!r}", factory, config.evaluator_options, reserved=shared)
    return factory(**given, **options)


def _search(
    config: SearchConfig,
    folder: Path,
    space: SearchSpace | None,
    table: LatencyTable | None,
    progress: Progress | None,
) -> Run:
    config = _completed(config)
    space = space or make_space(
        config.space, classes=config.classes, image_size=config.image_size, channels=config.channels
    )
    latency_model = table or load_table(config.table)
    if isinstance(latency_model, LatencyTable):
        latency_model.check_real()
        if config.on_missing == "estimate":
            latency_model = latency_model.completed(space.placements())
        latency_model.check_covers(space)
    evaluator, dearer = make_evaluator(config), make_evaluator(config.for_finalists()) if config.finalists else None
    reward = make_reward(
        config.reward or _REWARD,
        config.target_ms,
        alpha=config.alpha,
        beta=config.beta,
        accuracy_power=config.accuracy_power,
    )
    objective = Objective(
        space, latency_model, reward, config.target_ms, config.train_infeasible, tells_spellings(evaluator),
        _squash(evaluator),
    )  # fmt: skip
    searcher: Searcher
    if finder := FINDERS.get(config.searcher):
        config = config.model_copy(update={"trials": 1, "batch": 1})
        objective = replace(objective, train_infeasible=True)  # there is nothing else to evaluate
        searcher = Found(finder.start(config, objective, folder, progress))
    elif config.searcher not in searchers:
        raise UnknownNameError("searcher", config.searcher, sorted([*searchers, *FINDERS]))
    else:
        searcher = make_searcher(config.searcher, space, config.seed, config.searcher_options, objective)
    with executor_of(evaluator, config.workers, folder, progress) as executor:
        run = search_into(
            folder,
            config,
            objective=objective,
            searcher=searcher,
            executor=executor,
            progress=_Notes(config.trials, searcher, progress) if progress else None,
        )
    if dearer is None:
        return run
    objective = replace(objective, spellings=tells_spellings(dearer), squash=_squash(dearer))
    with executor_of(dearer, config.workers, folder / "finalists", progress) as executor:
        notes = _Notes(config.finalists, None, progress) if progress else None
        return finalists_into(folder, objective=objective, executor=executor, progress=notes)


def _squash(evaluator: Evaluator) -> Callable[[float], float] | None:
    return evaluator.squash if isinstance(evaluator, Scorer) else None


def _completed(config: SearchConfig) -> SearchConfig:
    """Fill in what the evaluator and the data decide, if there is any.

    Raises:
        ConfigError: no data where the evaluator needs some, another number of classes than the data's, channels that
            its images cannot be given, or images that are not square and no size given.
    """
    if config.reward is None:
        finder = FINDERS.get(config.searcher)
        usual = (finder and finder.usual_reward) or usual_reward(evaluators[config.evaluator])
        config = config.model_copy(update={"reward": usual or _REWARD})
    if config.data is None:
        for name in (config.evaluator, *[config.finalists_evaluator] * (config.finalists > 0)):
            if "data" in parameters(evaluators[name]):
                config.data_for(f"evaluator {name!r}")
        return config
    data = dataset(config.data, folder=config.data_folder)
    if config.classes not in (None, len(data.classes)):
        raise ConfigError(f"classes is {config.classes}, but data set {data.name} has {len(data.classes)}")
    c, h, w = data.shape
    if c not in (1, config.channels or c):
        raise ConfigError(f"channels is {config.channels}, but the images of {data.name} have {c}")
    if config.image_size is None and h != w:
        raise ConfigError(f"the images of {data.name} are {h}x{w}, not square: give image_size to resize them")
    known = {"classes": len(data.classes), "image_size": h, "channels": c}
    missing = {key: value for key, value in known.items() if getattr(config, key) is None}
    return config.model_copy(update=missing)


class _Notes:
    """Turns trials into progress."""

    def __init__(self, total: int, searcher: object, progress: Progress) -> None:
        self._total, self._searcher, self._progress = total, searcher, progress
        self._tally = Tally()
        self._skipped = 0
        self._best = -math.inf

    def __call__(self, trial: Trial) -> None:
        self._tally.add(trial)
        self._skipped += trial.status == "infeasible"
        if trial.value is not None:
            self._best = max(self._best, trial.reward)
        value = trial.status if trial.value is None else f"acc {trial.value:.3f}"
        value = value if trial.score is None else f"score {trial.score:.5g}"
        note = f"reward {trial.reward:.3f} (best {self._best:.3f})  {value}  {trial.latency.ms:.3g} ms"
        if isinstance(self._searcher, HasEntropy):
            note += f"  entropy {self._searcher.entropy:.2f}"
        self._progress(self._tally.evaluations, self._total, f"{note}  skipped by table {self._skipped}")
