"""The settings of a search: `search.toml`, `--set key=value` and flags, in one checked value."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mnas.errors import ConfigError

Setting = int | float | bool | str


class SearchConfig(BaseModel):
    """Everything that decides what a search does; the defaults are the command line's.

    Attributes:
        space: name of the search space.
        classes: number of classes; the data's, if not given.
        image_size: height and width in pixels; the data's, if not given.
        channels: channels of an image; the data's, if not given.
        data: name or path of the data set; an evaluator that trains nothing needs none.
        data_folder: where the files of a named data set are, if not in their usual place.
        table: path or name of the latency table.
        on_missing: "estimate" the rows that the table lacks, or raise an "error".
        target_ms: the latency target.
        reward: name of the reward; if not given "asymmetric", but "absolute" for evaluator supernet and searcher tunas.
        alpha: the reward's alpha, in place of its own.
        beta: the reward's beta, in place of its own.
        accuracy_power: the accuracy counts to this power in the reward, in place of 1.
        searcher: name of the searcher.
        searcher_options: its options.
        evaluator: name of the evaluator.
        evaluator_options: its options.
        trials: number of evaluations.
        finalists: number of the best networks that are evaluated again, by a dearer evaluator; their answer counts.
        finalists_evaluator: its name.
        finalists_options: its options.
        batch: encodings asked at once.
        workers: processes that evaluate, 0 for none but this one, and threads that train shared weights; changes the
            time, not the trials.
        seed: of everything random.
        train_infeasible: train networks over the target too, as the papers do.
        torch_device: where to train: "cpu", "cuda", "cuda:1" or "mps".
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    space: str
    classes: int | None = Field(None, ge=1)
    image_size: int | None = Field(None, ge=1)
    channels: int | None = Field(None, ge=1)
    data: str | None = None
    data_folder: str | None = None
    table: str
    on_missing: Literal["error", "estimate"] = "error"
    target_ms: float = Field(gt=0)
    reward: str | None = None
    alpha: float | None = Field(None, le=0)
    beta: float | None = Field(None, le=0)
    accuracy_power: float | None = Field(None, gt=0)
    searcher: str = "surrogate"
    searcher_options: dict[str, Setting] = Field(default_factory=dict)
    evaluator: str = "proxy"
    evaluator_options: dict[str, Setting] = Field(default_factory=dict)
    trials: int = Field(100, ge=1)
    finalists: int = Field(0, ge=0)
    finalists_evaluator: str = "proxy"
    finalists_options: dict[str, Setting] = Field(default_factory=dict)
    batch: int = Field(8, ge=1)
    workers: int = Field(2, ge=0)
    seed: int = Field(0, ge=0)
    train_infeasible: bool = False
    torch_device: str = "cpu"

    def for_finalists(self) -> SearchConfig:
        """The same with the evaluator of the finalists."""
        given = {"evaluator": self.finalists_evaluator, "evaluator_options": self.finalists_options}
        return self.model_copy(update=given)

    def data_for(self, what: str) -> str:
        """The data; ConfigError where none is named, which says that `what` needs some."""
        if self.data is None:
            raise ConfigError(f"{what} needs data: name a data set (--data fashion-mnist)")
        return self.data

    def to_toml(self) -> str:
        """The settings as TOML, those that are not given left out."""
        return tomli_w.dumps(self.model_dump(exclude_none=True))


def make_config(settings: Mapping[str, object], origin: str = "the search's settings") -> SearchConfig:
    """Check `settings`.

    Args:
        settings: key -> value; keys as in `SearchConfig`.
        origin: where they come from, for messages.

    Raises:
        ConfigError: unknown keys (the known ones are listed), missing ones, or values of another type or out of range.
    """
    try:
        return SearchConfig.model_validate(dict(settings))
    except ValidationError as error:
        raise ConfigError(f"{origin}: {'; '.join(_explained(error))}") from None


def load_config(
    path: str | Path | None, overrides: Iterable[str] = (), flags: Mapping[str, object] | None = None
) -> SearchConfig:
    """Read the settings of a search; later sources win: file, flags, overrides.

    Args:
        path: a TOML file, or None.
        overrides: texts `key=value` or `table.key=value`; the value is TOML, or else a string.
        flags: key -> value; None means not given.

    Raises:
        ConfigError: no such file, not TOML, an override without `=`, or see `make_config`.
    """
    settings = _read(Path(path)) if path is not None else {}
    settings.update({key: value for key, value in (flags or {}).items() if value is not None})
    for override in overrides:
        _set(settings, override)
    return make_config(settings, str(path) if path is not None else "the search's settings")


def differing_keys(one: SearchConfig, other: SearchConfig) -> list[str]:
    """The settings in which two searches differ so that one cannot continue the other, with both values.

    `workers` changes no trial, and a longer search (`other`) continues a shorter one, as more finalists follow fewer.
    """
    ignored = {"workers"} | {key for key in ("trials", "finalists") if getattr(other, key) >= getattr(one, key)}
    if not one.finalists:
        ignored |= {"finalists_evaluator", "finalists_options"}
    pairs = zip(one.model_dump().items(), other.model_dump().values(), strict=True)
    return [f"{key} ({a!r} there, {b!r} here)" for (key, a), b in pairs if a != b and key not in ignored]


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the settings {str(path)!r}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None


def _set(settings: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"an override is key=value, such as searcher_options.population=50; got {override!r}")
    *tables, last = key.strip().split(".")
    for table in tables:
        settings = settings.setdefault(table, {})
        if not isinstance(settings, dict):
            raise ConfigError(f"{override!r}: {table} is not a table of settings")
    settings[last] = parse_setting(text.strip())


def parse_setting(text: str) -> object:
    """Read the text of a setting: TOML, or else a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _explained(error: ValidationError) -> list[str]:
    known = ", ".join(SearchConfig.model_fields)
    out = []
    for each in error.errors():
        key = ".".join(map(str, each["loc"][:2]))
        match each["type"]:
            case "extra_forbidden":
                out.append(f"unknown key {key!r}; known: {known}")
            case "missing":
                out.append(f"{key!r} is missing")
            case _:
                out.append(f"{key}: {each['msg'].lower()}, got {each['input']!r}")
    return out
