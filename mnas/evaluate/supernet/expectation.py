"""The expected latency of the networks that probabilities stand for, from the rows of a table; differentiable.

Decisions are independent. In a chain the expectation is exact: what a segment costs follows from its own choices and
the shape it reads, and so probabilities of shapes are carried from one to the next. Elsewhere a mixture that keeps k of
its candidates is expected to cost k times their mean row, weighted by their probabilities. That is exact for k = 1 and
where exactly k have weight. In a cell of DARTS it takes no heed of which two edges of a node are the strongest.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from mnas.errors import ConfigError
from mnas.evaluate.supernet.mixing import Decisions
from mnas.ir import Node, Op, Placement
from mnas.ir.layers import JoinKind, joined
from mnas.latency import LatencyTable
from mnas.latency.batch import ChainPrices, compile_chain
from mnas.latency.pricing import works
from mnas.ops.cell import Identity
from mnas.spaces import ChainSpace, RelaxedSpace


class Expectation(Protocol):
    """Expected milliseconds by probabilities (decisions, options), as a tensor without axes."""

    def __call__(self, probabilities: Tensor) -> Tensor:
        """Give the expectation."""
        ...


def expect(space: RelaxedSpace, table: LatencyTable) -> Expectation:
    """Make the expectation over the networks of a space.

    Raises:
        MissingLatencyError: the table lacks rows of the space.
        ConfigError: a space of widths that has too many options to tabulate.
    """
    table.check_covers(space)
    compiled = compile_chain(space, table.row_ms)
    if compiled is not None and isinstance(space, ChainSpace):
        return ChainExpectation(space, compiled, table)
    return MixtureExpectation(space, table)


class ChainExpectation:
    """Exact, over a space of chains whose choices are the decisions."""

    def __init__(self, space: ChainSpace, compiled: ChainPrices, table: LatencyTable) -> None:
        fit = table.calibration
        self._overhead = fit.overhead_ms
        self._choices = space.segments
        self._counts = [len(choice.options) for choice in space.choices]
        self._ms: list[Tensor] = []
        self._after: list[Tensor] = []
        for i, segment in enumerate(compiled.segments):
            options = int(np.prod([self._counts[choice] for choice in space.segments[i]]))
            ms = fit.scale * segment.sums.real + fit.per_row_ms * segment.sums.imag
            self._ms.append(torch.from_numpy(ms.reshape(-1, options)))
            if i + 1 < len(compiled.segments):
                following = int(np.prod([self._counts[choice] for choice in space.segments[i + 1]]))
                self._after.append(torch.from_numpy(segment.after // following))

    def __call__(self, probabilities: Tensor) -> Tensor:
        """See `Expectation`."""
        probabilities = probabilities.cpu()
        total = torch.full((), self._overhead, dtype=probabilities.dtype)
        shapes = torch.ones(1, dtype=probabilities.dtype)
        for i, ms in enumerate(self._ms):
            joint = torch.ones(1, dtype=probabilities.dtype)
            for choice in self._choices[i]:
                joint = torch.outer(joint, probabilities[choice, : self._counts[choice]]).flatten()
            both = torch.outer(shapes, joint)
            total = total + (both * ms.to(both.dtype)).sum()
            if i < len(self._after):
                after = self._after[i]
                shapes = torch.zeros(int(after.max()) + 1, dtype=both.dtype).index_add(0, after, both.flatten())
        return total


class MixtureExpectation:
    """A sum over the nodes of the space's relaxation at its own size (see the module)."""

    def __init__(self, space: RelaxedSpace, table: LatencyTable) -> None:
        relaxation, fit, row_ms = space.priced, table.calibration, table.row_ms
        if any(mixture.widths for mixture in relaxation.mixtures):
            raise ConfigError(f"space {space.name} decides on widths and has too many options to tabulate its latency")
        self._decisions = Decisions(relaxation)
        number = {condition: i for i, condition in enumerate(relaxation.conditions)}
        shapes, fixed = [relaxation.x], fit.overhead_ms

        def price(op: Op, sources: Sequence[int], join: JoinKind = "add") -> float:
            placement = Placement(op, tuple(shapes[source] for source in sources), join)
            if len(sources) == 1 and not works(placement):
                return 0.0
            return fit.scale * row_ms[placement] + fit.per_row_ms

        ms = torch.zeros(len(relaxation.mixtures), len(number), dtype=torch.float64)
        there, rows = torch.zeros_like(ms), count()
        for node in relaxation.nodes:
            if isinstance(node, Node):
                x = joined(node.join, tuple(shapes[source] for source in node.sources))
                fixed += price(node.op, node.sources, node.join)
                shapes.append(node.op.out_shape(x))
                continue
            row = next(rows)
            for each in node.candidates:
                ms[row, number[each.when]] += price(each.op, (each.source,))
                there[row, number[each.when]] += 1
            shapes.append(node.candidates[0].op.out_shape(shapes[node.candidates[0].source]))
            if node.kept > 1:
                fixed += price(Identity(), (len(shapes) - 1,) * node.kept)
        self._fixed, self._ms, self._there = fixed, ms, there
        self._kept = torch.tensor([mixture.kept for mixture in relaxation.mixtures], dtype=torch.float64)

    def __call__(self, probabilities: Tensor) -> Tensor:
        """See `Expectation`."""
        weights = self._decisions.weights(probabilities.cpu())
        ms, there, kept = (each.to(weights.dtype) for each in (self._ms, self._there, self._kept))
        return self._fixed + (kept * (ms @ weights) / (there @ weights)).sum()
