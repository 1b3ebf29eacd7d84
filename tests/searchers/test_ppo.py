from __future__ import annotations

import numpy as np
import pytest
import torch

from mnas.errors import ConfigError
from mnas.searchers.policy import FactoredPolicy, Floats, Ints, PolicyName, Weigh
from mnas.searchers.ppo import PPO
from mnas.searchers.reinforce import Reinforce
from mnas.spaces import SearchSpace
from tests.searchers.fakes import ToySpace

TOY = ToySpace((3, 2, 4), twins=False)


class Spied(FactoredPolicy):
    """Compares every gradient with that of the published objective, and remembers the likelihood ratios."""

    def __init__(self, space: SearchSpace, lr: float, advantages: Floats, clip: float) -> None:
        super().__init__(space, lr)
        self.advantages, self.clip = torch.tensor(advantages), clip
        self.old: torch.Tensor | None = None
        self.ratios: list[Floats] = []

    def ascend(self, encodings: Ints, weigh: Weigh, entropy_weight: float) -> None:
        def compared(log_likelihood: Floats) -> Floats:
            weights = weigh(log_likelihood)
            np.testing.assert_allclose(
                self.gradient(encodings, weights, entropy_weight), self.published(encodings), atol=1e-12
            )
            return weights

        super().ascend(encodings, compared, entropy_weight)

    def published(self, encodings: Ints) -> Floats:
        """Gradient of the mean of min(r A, clip(r, 1 - eps, 1 + eps) A), arXiv:1707.06347, eq. 7."""
        logits = torch.tensor(self.logits, requires_grad=True)
        log = logits.masked_fill(~torch.tensor(self._exists), -torch.inf).log_softmax(1)
        likelihood = log[torch.arange(len(log)), torch.tensor(encodings)].sum(1)
        self.old = likelihood.detach() if self.old is None else self.old
        ratio = (likelihood - self.old).exp()
        self.ratios.append(ratio.detach().numpy())
        clipped = ratio.clamp(1 - self.clip, 1 + self.clip)
        torch.minimum(ratio * self.advantages, clipped * self.advantages).mean().backward()  # type: ignore[no-untyped-call]
        assert logits.grad is not None
        return np.asarray(logits.grad.numpy())


def test_every_step_follows_the_published_objective() -> None:
    rewards = np.array([0.3, 0.9, 0.1, 0.5, 0.55, 0.45])
    searcher = PPO(TOY, 0, policy="factored", lr=0.2, entropy=0.0, epochs=6, clip=0.1)
    spied = Spied(TOY, 0.2, (rewards - rewards.mean()) / rewards.std(), 0.1)
    searcher._policy = spied
    searcher.tell(searcher.ask(6), rewards.tolist())
    ratios = np.array(spied.ratios)
    assert ratios.shape == (6, 6)
    assert (ratios[0] == 1).all()
    above = rewards > rewards.mean()
    assert (ratios[:, above] > 1.1).any()
    assert (ratios[:, ~above] < 0.9).any()
    assert (ratios[:, above] < 0.9).any() or (ratios[:, ~above] > 1.1).any()  # a minimum that does not clip


@pytest.mark.parametrize("policy", ["factored", "lstm"])
def test_one_epoch_is_a_step_of_reinforce(policy: PolicyName) -> None:
    rng = np.random.default_rng(0)
    one = PPO(TOY, 0, policy=policy, epochs=1, units=6, entropy=1.0)
    other = Reinforce(TOY, 0, policy=policy, units=6, entropy=1.0)
    for _ in range(12):
        encodings, rewards = one.ask(4), rng.uniform(size=4).tolist()
        assert encodings == other.ask(4)
        for each in (one, other):
            each.tell(encodings, rewards)
    assert one.ask(200) == other.ask(200)
    assert one.entropy == pytest.approx(other.entropy, rel=1e-6)


@pytest.mark.parametrize("policy", ["factored", "lstm"])
def test_more_epochs_go_further(policy: PolicyName) -> None:
    ends = []
    for epochs in (1, 4):
        searcher = PPO(TOY, 0, policy=policy, lr=0.05, epochs=epochs, entropy=0.0, units=6, clip=10.0)
        for _ in range(6):
            encodings = searcher.ask(8)
            searcher.tell(encodings, [encoding[2] / 3 for encoding in encodings])
        ends.append(np.mean([encoding[2] for encoding in searcher.ask(500)]))
    assert ends[1] > ends[0] + 0.2


@pytest.mark.parametrize(
    "options",
    [
        {"lr": 0.0}, {"entropy": -0.1}, {"decay": 1.0}, {"decay": -0.1}, {"epochs": 0}, {"clip": 0.0}, {"units": 0},
        {"layers": 0},
    ],
    ids=str,
)  # fmt: skip
def test_settings_out_of_range(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        PPO(TOY, 0, **options)  # type: ignore[arg-type]
