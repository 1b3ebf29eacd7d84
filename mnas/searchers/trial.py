"""One architecture that was tried, and its line in `trials.jsonl`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from mnas.errors import FormatError, MnasError
from mnas.ir import Architecture
from mnas.latency.predictor import Estimate
from mnas.spaces import Encoding

Status = Literal["trained", "scored", "cached", "infeasible", "failed"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One encoding that was asked, and what came of it.

    `trained` was evaluated for this trial, and so was `scored`, without training; `cached` repeats an architecture
    evaluated before; `infeasible` is over the target and was not evaluated; `failed` broke (`error` says how), as does
    a repeat of it.

    Attributes:
        index: place in the run, from 0.
        encoding: what the searcher asked.
        architecture: the network in canonical form, which is what was priced and trained.
        accuracy: 0..1; None where infeasible, failed or scored.
        latency: the predicted latency.
        reward: what the searcher was told.
        seed: seed of the evaluation.
        status: see above.
        seconds: time of the evaluation, 0 where there was none; the one field that a repeated run does not repeat.
        error: why it failed.
        score: what a training-free score gave; None where infeasible, failed or trained.
    """

    index: int
    encoding: Encoding
    architecture: Architecture
    accuracy: float | None
    latency: Estimate
    reward: float
    seed: int
    status: Status
    seconds: float = 0.0
    error: str | None = None
    score: float | None = None

    @property
    def value(self) -> float | None:
        """What the evaluator gave: the accuracy, or the score where networks are scored."""
        return self.accuracy if self.score is None else self.score

    @property
    def evaluated(self) -> bool:
        """Whether the evaluator was asked, or would only have failed again."""
        return self.status in ("trained", "scored", "failed")

    def to_dict(self) -> dict[str, Any]:
        """The keys of a line of `trials.jsonl`; plain values."""
        return self._row().model_dump(mode="json")

    def to_json(self) -> str:
        """One line of `trials.jsonl`, without the line end."""
        return self._row().model_dump_json()

    def _row(self) -> _Row:
        return _Row(
            index=self.index,
            status=self.status,
            accuracy=self.accuracy,
            latency_ms=self.latency.ms,
            low_ms=self.latency.low_ms,
            high_ms=self.latency.high_ms,
            reward=self.reward,
            seed=self.seed,
            seconds=self.seconds,
            error=self.error,
            encoding=self.encoding,
            architecture=str(self.architecture),
            score=self.score,
        )

    @classmethod
    def from_json(cls, line: str | bytes) -> Trial:
        """Read a line back.

        Raises:
            FormatError: not a trial, or one of an op this version does not know.
        """
        try:
            row = _Row.model_validate_json(line)
            return cls(
                index=row.index,
                encoding=row.encoding,
                architecture=Architecture.parse(row.architecture),
                accuracy=row.accuracy,
                latency=Estimate(row.latency_ms, row.low_ms, row.high_ms),
                reward=row.reward,
                seed=row.seed,
                status=row.status,
                seconds=row.seconds,
                error=row.error,
                score=row.score,
            )
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the line"
            raise FormatError(f"not a trial: {where}: {first['msg'].lower()}") from None
        except MnasError as error:
            raise FormatError(f"not a trial: architecture: {error}") from None


class _Row(BaseModel):
    """The keys of a line, in this order."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    index: int
    status: Status
    accuracy: float | None
    latency_ms: float
    low_ms: float
    high_ms: float
    reward: float
    seed: int
    seconds: float
    error: str | None
    encoding: tuple[int, ...]
    architecture: str
    score: float | None = None
