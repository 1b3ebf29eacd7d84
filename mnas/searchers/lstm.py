"""A policy that writes encodings choice by choice: the recurrent controller of NAS-RL, NASNet and MnasNet."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from mnas.evaluate.training import threads
from mnas.searchers.policy import Floats, Ints, Weigh
from mnas.spaces import ConditionalSpace, SearchSpace, active, arity

_SPAN = 0.08
"""All weights start uniform within this of 0 (arXiv:1611.01578, sec. 4.1)."""


class LSTMPolicy(nn.Module):
    """An LSTM reads the option chosen last and gives the next choice's logits; every choice has a softmax of its own.

    One layer of 100 units is the controller of NASNet and MnasNet (arXiv:1707.07012, app. A.1), two of 35 units that
    of NAS-RL (arXiv:1611.01578, sec. 4.1). Batches are drawn and learnt at once, by one thread.

    In a `ConditionalSpace` earlier choices decide whether a choice is active.

    Args:
        space: what it draws from.
        seed: of the first weights.
        lr: learning rate of Adam.
        layers: depth of the LSTM.
        units: width of the LSTM, and of the embedding of options.

    Attributes:
        entropy: in nats, of the batch learnt last; before the first, that of uniform draws.
    """

    def __init__(self, space: SearchSpace, seed: int, *, lr: float, layers: int, units: int) -> None:
        super().__init__()
        counts = arity(space)
        self._space, self._conditional = space, isinstance(space, ConditionalSpace)
        self._first = torch.from_numpy(1 + np.concatenate(([0], counts.cumsum()))[:-1])
        with torch.random.fork_rng([]):
            self._embedding = nn.Embedding(1 + int(counts.sum()), units)
            self._lstm = nn.LSTM(units, units, layers, batch_first=True)
        self._heads = nn.Parameter(torch.empty(len(counts), units, int(counts.max(initial=1))))
        self._biases = nn.Parameter(torch.empty(len(counts), int(counts.max(initial=1))))
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -_SPAN, _SPAN, generator)
        self.open(counts)
        self.entropy = float(np.log(counts).sum())
        self._adam = torch.optim.Adam(self.parameters(), lr, maximize=True)

    def open(self, options: Ints) -> None:
        self._closed = torch.arange(self._biases.shape[1]) >= torch.from_numpy(options)[:, None]

    def sample(self, rng: np.random.Generator, n: int) -> Ints:
        drawn = np.zeros((n, len(self._first)), np.int64)
        uniform = rng.random((len(self._first), n, 1))
        tokens, state = torch.zeros((n, 1), dtype=torch.int64), None
        with threads(1), torch.inference_mode():
            for i, first in enumerate(self._first):
                out, state = self._lstm(self._embedding(tokens), state)
                logits = (out[:, 0] @ self._heads[i] + self._biases[i]).masked_fill(self._closed[i], -torch.inf)
                ends = logits.double().softmax(1).cumsum(1).numpy()
                drawn[:, i] = np.minimum((uniform[i] >= ends).sum(1), int((~self._closed[i]).sum()) - 1)
                if self._conditional:
                    drawn[:, i] *= active(self._space, drawn)[:, i]
                tokens = first + torch.from_numpy(drawn[:, i : i + 1])
        return drawn

    def ascend(self, encodings: Ints, weigh: Weigh, entropy_weight: float) -> None:
        with threads(1):
            log_likelihood, entropy = self._measured(torch.from_numpy(encodings))
            weights = torch.from_numpy(weigh(log_likelihood.detach().double().numpy())).float()
            objective = (weights * log_likelihood).mean() + entropy_weight / max(1, len(self._first)) * entropy
            self._adam.zero_grad()
            objective.backward()  # type: ignore[no-untyped-call]
            self._adam.step()
        self.entropy = float(entropy.detach())

    def log_likelihood(self, encodings: Ints) -> Floats:
        """Log-probability of encodings (n, choices), (n,)."""
        with threads(1), torch.inference_mode():
            return np.asarray(self._measured(torch.from_numpy(encodings))[0].double().numpy())

    def _measured(self, encodings: Tensor) -> tuple[Tensor, Tensor]:
        """Log-likelihoods (n,), and the mean entropy of the choices on the way."""
        tokens = nn.functional.pad((encodings + self._first)[:, :-1], (1, 0))
        out, _ = self._lstm(self._embedding(tokens))
        logits = torch.einsum("ncu,cuo->nco", out, self._heads) + self._biases
        log = logits.masked_fill(self._closed, -torch.inf).log_softmax(2)
        chosen = log.gather(2, encodings[:, :, None])[:, :, 0]
        entropies = -(log.exp() * log.masked_fill(self._closed, 0.0)).sum(2)
        if self._conditional:
            counted = torch.from_numpy(active(self._space, encodings.numpy()))
            chosen, entropies = chosen.masked_fill(~counted, 0.0), entropies.masked_fill(~counted, 0.0)
        return chosen.sum(1), entropies.sum(1).mean()
