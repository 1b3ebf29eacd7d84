"""A latency table: measured rows, the fit that turns their sum into a network's latency, and its pedigree."""

from __future__ import annotations

import hashlib
import shlex
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mnas.errors import CheckError, MissingLatencyError, SpanError
from mnas.ir import Architecture, Network, Placement
from mnas.latency.batch import ChainPrices, compile_chain
from mnas.latency.calibration import LEAST_MS, Calibration
from mnas.latency.estimator import EstimatedRow, Estimator, fit_estimator
from mnas.latency.filter import Remeasurement, TimeColumn
from mnas.latency.noderows import row_flags
from mnas.latency.predictor import Estimate
from mnas.latency.pricing import executed, is_constant
from mnas.latency.rawfile import read_samples
from mnas.latency.validation import Check, Verdict
from mnas.runtimes import Conditions
from mnas.shipped import installed
from mnas.spaces import SearchSpace

WIDE = 0.05
"""Half width of a row's interval, relative to the row, beyond which it is measured again."""
_COMPILATIONS = 8
"""Spaces whose compiled rows are kept, and sets of rows whose estimates are."""
_DECODED = 1024
"""Refused encodings that are decoded at once to say what is wrong with them."""
OnMissing = Literal["error", "estimate"]
"""What is done about rows that a network needs and that were not measured."""
Role = Literal["anchor", "calibration", "interval", "test"]
"""What a network is measured for: it calibrates (and compares measurements, an anchor), tells how wide intervals must
be, or tests both. Each serves one end only."""


class Row(NamedTuple):
    """One measured placement; the columns of a table's CSV.

    Attributes:
        median_ms: median over visits, at the typical speed of the measurement.
        ci_low_ms: low end of its 95 % interval over visits.
        ci_high_ms: high end.
        rounds: number of visits, each in another round over all items; 0 where it was not measured on the device, but
            tailored to it (see `mnas.latency.tailoring`).
        reps: number of timed runs that count: those during which the core was taken away are left out where at
            least half of a visit remains.
        preempted_share: share of the runs during which the system took the core away, 0..1.
    """

    median_ms: float
    ci_low_ms: float
    ci_high_ms: float
    rounds: int
    reps: int
    preempted_share: float

    @property
    def reach(self) -> float:
        """Half width of the interval, relative to the median."""
        return (self.ci_high_ms - self.ci_low_ms) / 2 / self.median_ms


class MeasuredNetwork(NamedTuple):
    """A whole network that was measured with the rows, and its name in the raw samples."""

    item: str
    architecture: str
    ms: float
    role: Role


class Effort(NamedTuple):
    """What the measurement took.

    Attributes:
        units: measurements that were kept by themselves.
        visits: of all items.
        drift_percent: standard deviation of the machine's common speed.
        preempted_share: share of runs during which the system took the core away, 0..1.
        seconds: wall time of all processes and of building their models.
        starts: processes that the runtime started on the device; 0 if that is not known.
    """

    units: int
    visits: int
    drift_percent: float
    preempted_share: float
    seconds: float
    starts: int = 0


@dataclass(frozen=True)
class LatencyTable:
    """What one device needs for each placement, and for a network of them, under fixed conditions.

    Tables are equal when all that was measured is; when, how long, and how busy the device was do not count.

    Attributes:
        name: the stem of its files.
        conditions: what the times hold under.
        time: which clock was read: CPU time of the thread, or wall time.
        facts: what the device said of itself.
        rows: the measured placements.
        failed: placements that could not be measured, and why.
        calibration: how a sum of rows becomes the latency of a network.
        networks: the measured networks: anchors, other calibration networks, interval networks, and held-out tests.
        remeasurement: how an independent second pass over the test networks agrees with the first.
        rows_remeasurement: how two halves of the first pass agree on the rows.
        check: error on the held-out networks.
        verdict: valid, noisy or invalid; unverified if it was not measured here.
        remedy: what to do about a verdict that is not valid.
        effort: what the measurement took.
        date: when it ended, ISO 8601.
        version: of mnas.
        raw: gzipped CSV of the raw samples (`samples` reads it).
        path: where it was read from or saved to, without suffix; empty if nowhere.
        estimated: rows that were not measured (see `completed`); they are never saved.
    """

    name: str
    conditions: Conditions
    time: TimeColumn
    facts: Mapping[str, str] = field(compare=False)
    rows: Mapping[Placement, Row]
    failed: Mapping[Placement, str]
    calibration: Calibration
    networks: tuple[MeasuredNetwork, ...]
    remeasurement: Remeasurement
    rows_remeasurement: Remeasurement
    check: Check
    verdict: Verdict
    remedy: str
    effort: Effort = field(compare=False)
    date: str = field(compare=False)
    version: str
    raw: bytes = field(repr=False)
    path: str = field(default="", compare=False)
    estimated: Mapping[Placement, EstimatedRow] = field(default_factory=dict, compare=False)

    @property
    def anchors(self) -> tuple[tuple[str, float], ...]:
        """Text and ms of the networks by which this measurement is compared with others."""
        return tuple((network.architecture, network.ms) for network in self.networks if network.role == "anchor")

    @property
    def samples(self) -> pd.DataFrame:
        """The raw samples: unit, item, visit, round, rep, wall_ns, cpu_ns, preempted."""
        return read_samples(self.raw)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 over conditions, rows and calibration: names the table in the metadata of what was made with it."""
        rows = sorted((str(placement), row) for placement, row in self.rows.items())
        estimated = sorted((str(placement), row) for placement, row in self.estimated.items())
        what = (self.conditions, self.calibration, rows, *([estimated] if estimated else []))
        return hashlib.sha256(repr(what).encode()).hexdigest()

    @cached_property
    def _ms(self) -> dict[Placement, float]:
        measured = self.calibration.corrected({placement: row.median_ms for placement, row in self.rows.items()})
        return measured | {placement: row.ms for placement, row in self.estimated.items()}

    @property
    def row_ms(self) -> Mapping[Placement, float]:
        """Every row in ms as it counts in a sum: measured ones as the calibration corrects them, and estimated ones."""
        return self._ms

    def summary(self) -> str:
        """Say in one line what the table holds under and how far to trust it."""
        c, found = self.conditions, self.check
        threads = f"{c.num_threads} thread{'s' if c.num_threads > 1 else ''}"
        guessed = f", {len(self.estimated)} ESTIMATED" if self.estimated else ""
        checked = [
            f"{found.n} networks held out: MAPE {found.mape_percent:.1f} %",
            f"{found.within_10_percent:.0f} % within 10 %",
            f"remeasurement {self.remeasurement.mape_without_level_percent:.1f} %",
        ]
        parts = [
            f"{c.device}, {c.runtime} {c.runtime_version}, {c.dtype}, {threads}{', EMULATED' if c.emulated else ''}",
            f"{len(self.rows)} rows" + (f", {len(self.failed)} failed" if self.failed else "") + guessed,
            *(checked if found.n else ["no networks held out"]),
            f"{self.verdict}: {self.remedy}" if self.remedy else self.verdict,
        ]
        return " | ".join(parts)

    @property
    def wide_rows(self) -> tuple[Placement, ...]:
        """The rows whose interval is too wide."""
        return tuple(placement for placement, row in self.rows.items() if row.reach > WIDE)

    def missing(self, placements: Iterable[Placement]) -> tuple[Placement, ...]:
        """The placements without a row, measured or estimated, once each, in order."""
        return tuple(dict.fromkeys(placement for placement in placements if placement not in self._ms))

    def completed(self, placements: Iterable[Placement]) -> LatencyTable:
        """This table with estimates of those of `placements` that it lacks, in `estimated`.

        They are made by a model of kernels that is fitted to the measured rows, at the first call (see
        `fit_estimator`), and widen the intervals of predictions.

        Raises:
            CheckError: too few rows were measured.
        """
        missing = self.missing(placements)
        if not missing:
            return self
        for known, completed in self._completions:
            if known == missing:
                return completed
        found = dict(zip(missing, self._estimator.estimate(missing), strict=True))
        self._completions.append((missing, replace(self, estimated={**self.estimated, **found})))
        return self._completions[-1][1]

    @cached_property
    def _estimator(self) -> Estimator:
        return fit_estimator({placement: row.median_ms for placement, row in self.rows.items()})

    @cached_property
    def _completions(self) -> deque[tuple[tuple[Placement, ...], LatencyTable]]:
        return deque(maxlen=_COMPILATIONS)

    def predict(self, architecture: Network, on_missing: OnMissing = "error") -> Estimate:
        """Price a network (see `LatencyModel`), or a model file that was read; tens of microseconds.

        Estimated rows widen the interval by the error of the estimator on them, as if all erred to the same side.

        Args:
            architecture: the network.
            on_missing: "estimate" the rows that were not measured (see `completed`), or raise an "error".

        Raises:
            MissingLatencyError: rows that the network needs were not measured.
            CheckError: the network is far smaller or larger than those that calibrated the table, or there are too few
                rows to estimate others from.
        """
        fit = self.calibration
        placements = executed(architecture, fit.folds_constants)
        if on_missing == "estimate" and self.missing(placements):
            return self.completed(placements).predict(architecture)
        known = self._ms
        try:
            total = sum([known[placement] for placement in placements])
        except KeyError:
            raise self._lacks(placements, ["--arch", "FILE"]) from None
        ms = max(LEAST_MS, fit.overhead_ms + fit.scale * total + fit.per_row_ms * len(placements))
        if not fit.spans(total):
            self._check_size(architecture, total, ms)
        reach = ms * fit.interval_relative
        if self.estimated:
            guessed = [self.estimated[placement] for placement in placements if placement in self.estimated]
            reach += fit.scale * sum([row.ms * row.error for row in guessed])
        return Estimate(ms, max(0.0, ms - reach), ms + reach)

    def predict_batch(
        self, space: SearchSpace, encodings: NDArray[np.integer], on_missing: OnMissing = "error"
    ) -> NDArray[np.float64]:
        """Price encodings (see `LatencyModel`), millions a second in a `ChainSpace`; int64, or faster uint8.

        Raises:
            MissingLatencyError: rows that the networks need were not measured.
            CheckError: a network is far smaller or larger than those that calibrated the table, or there are too few
                rows to estimate others from.
            ConfigError: not encodings of this space.
        """
        if on_missing == "estimate":
            return self.completed(space.placements()).predict_batch(space, encodings)
        compiled = self._compiled(space)
        if compiled is None or encodings.shape[1:] != compiled.arity.shape or not len(encodings):
            return self._decode_batch(space, encodings)
        fit = self.calibration
        total, rows = compiled.sums(encodings)
        ms = fit.ms(total, rows)
        if not (fit.spans(total.min()) and fit.spans(total.max())):
            refused = np.flatnonzero([not fit.spans(each) for each in total.tolist()])
            for start in range(0, len(refused), _DECODED):
                part = refused[start : start + _DECODED]
                ms[part] = self._decode_batch(space, encodings[part])  # says what is wrong
        return ms

    def _compiled(self, space: SearchSpace) -> ChainPrices | None:
        for known, compiled in self._compilations:
            if known == space:
                return compiled
        self._compilations.append((space, compile_chain(space, self._ms)))
        return self._compilations[-1][1]

    @cached_property
    def _compilations(self) -> deque[tuple[SearchSpace, ChainPrices | None]]:
        return deque(maxlen=_COMPILATIONS)

    def _decode_batch(self, space: SearchSpace, encodings: NDArray[np.integer]) -> NDArray[np.float64]:
        """Price encodings of any space; equal ones are decoded once."""
        if not len(encodings):
            return np.zeros(0)
        unique, back = np.unique(encodings, axis=0, return_inverse=True)
        fit, known = self.calibration, self._ms
        networks = [space.decode(tuple(encoding)) for encoding in unique.tolist()]
        needed = [executed(network, fit.folds_constants) for network in networks]
        try:
            total = [sum([known[placement] for placement in placements]) for placements in needed]
        except KeyError:
            raise self._lacks([p for placements in needed for p in placements], _flags(space)) from None
        rows = np.array([len(placements) for placements in needed], np.float64)
        ms = fit.ms(np.array(total), rows)
        for network, each, its in zip(networks, total, ms.tolist(), strict=True):
            if not fit.spans(each):
                self._check_size(network, each, its)
        return ms[back]

    def check_real(self) -> None:
        """Make sure that the times are those of a processor.

        Raises:
            CheckError: it was emulated.
        """
        if self.conditions.emulated:
            raise CheckError(
                f"table {self.name!r} was measured on an emulated processor (device {self.conditions.device}): its "
                "times mean nothing; measure on a real one: mnas profile --device DEVICE"
            )

    def check_covers(self, space: SearchSpace) -> None:
        """Make sure that every network of a space can be priced.

        Raises:
            MissingLatencyError: rows of the space were not measured, or failed; names the command that measures them.
        """
        if self.missing(space.placements()):
            raise self._lacks(space.placements(), _flags(space))

    def explain(self, architecture: Network) -> list[tuple[Placement, float]]:
        """Say what each executed placement of a network costs in it, dearest first.

        The sum of the ms and `calibration.overhead_ms` is the prediction. A table lacks no row that it was `completed`
        by; those of its `estimated` were not measured.

        Raises:
            MissingLatencyError: rows that the network needs were not measured.
            CheckError: the network is far smaller or larger than those that calibrated the table.
        """
        self.predict(architecture)
        fit = self.calibration
        priced = [(p, fit.scale * self._ms[p] + fit.per_row_ms) for p in executed(architecture, fit.folds_constants)]
        return sorted(priced, key=lambda pair: -pair[1])

    def estimated_share(self, architecture: Network) -> float:
        """The share of a network's rows, by what they cost in it, that was estimated instead of measured, 0..1.

        Raises:
            MissingLatencyError, CheckError: as `explain`.
        """
        parts = self.explain(architecture)
        guessed = sum(ms for placement, ms in parts if placement in self.estimated)
        return guessed / sum(ms for _, ms in parts) if guessed else 0.0

    def _check_size(self, architecture: Network, total: float, ms: float) -> None:
        """Refuse a network that the calibration does not span; one that zeros cut off costs little in any space."""
        if isinstance(architecture, Architecture) and is_constant(architecture):
            return
        fit = self.calibration
        raise SpanError(
            f"table {self.name!r} was calibrated with networks whose rows sum to {fit.least_ms:.4g} to "
            f"{fit.largest_ms:.4g} ms, the rows of this one (input {architecture.inputs[0]}) to {total:.4g} ms: price "
            "it with a table of a space of its size: mnas profile --space NAME --image-size PIXELS -o ANOTHER_TABLE",
            ms,
        )

    @property
    def _grows_at(self) -> str:
        """Where missing rows are measured into: one without anchors cannot grow, one that is installed stays."""
        return (self.path or self.name) if self.anchors and not installed(self.path) else "ANOTHER_TABLE"

    def _lacks(self, placements: Iterable[Placement], what: Sequence[str]) -> MissingLatencyError:
        c = self.conditions
        unusual = [*(["--dtype", c.dtype] if c.dtype != "float32" else []), *row_flags(c)]
        threads = ["--num-threads", str(c.num_threads)] if c.num_threads != 1 else []
        where = ["--device", c.device, "--runtime", c.runtime, *unusual, *threads, "-o", self._grows_at]
        names = [f"{p} (failed: {self.failed[p]})" if p in self.failed else str(p) for p in self.missing(placements)]
        return MissingLatencyError(self.name, names, shlex.join(["mnas", "profile", *what, *where]))


def _flags(space: SearchSpace) -> list[str]:
    sizes = {"--classes": space.classes, "--image-size": space.x.h, "--channels": space.x.c}
    return ["--space", space.name, *(word for flag, size in sizes.items() for word in (flag, str(size)))]
