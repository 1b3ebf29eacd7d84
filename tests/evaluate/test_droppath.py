"""Paths are dropped while training, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from mnas.errors import ConfigError
from mnas.evaluate import Recipe, dataset
from mnas.evaluate.droppath import drop_paths, paths
from mnas.evaluate.training import Normalizer, fit
from mnas.ir import Architecture
from mnas.lower.torch import TorchNetwork, build, weights_of
from mnas.spaces import space
from mnas.spaces.reference import reference

SUM = Architecture.parse(
    """
    input 1x8x8
    stem_c4
    rcb_c4
    pool add 1
    identity add 2 3
    classifier
    """
)
"""Value 4 adds two paths, nodes 1 and 2 (from 0)."""


def test_paths_are_ops_that_one_join_reads() -> None:
    assert paths(SUM) == (1, 2)
    assert paths(reference("mnasnet-a1")) == ()
    nasnet = reference("nasnet-a-mobile")
    ends = {nasnet.nodes[i].op.name for i in paths(nasnet)}
    assert ends == {"sep", "pool"}  # neither identities, nor aligned inputs, nor sums that are concatenated
    assert len(paths(nasnet)) == 12 * 8 + 4 * 9  # normal cells hold two identities, reduction cells one


def _mean(network: TorchNetwork, rate: float, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The value of the sum over many passes: the mean, and the last pass."""
    seen: list[torch.Tensor] = []
    hook = network.nodes[3].register_forward_hook(lambda module, args, y: seen.append(y.detach()))
    x = torch.ones(400, 1, 8, 8)
    with drop_paths(network, seed) as drop, torch.no_grad():
        drop.rate = rate
        network(x)
    hook.remove()
    return seen[0].mean(0), seen[0]


def test_images_lose_paths_of_their_own_and_the_mean_stays() -> None:
    network = build(SUM, 0).train()
    whole, _ = _mean(network, 0.0, 0)
    kept, each = _mean(network, 0.3, 0)
    variants = {tuple(np.round(image.numpy().ravel(), 4)) for image in each}
    assert len(variants) == 4  # both paths, either, none
    assert sum(not any(variant) for variant in variants) == 1
    torch.testing.assert_close(kept, whole, rtol=0.25, atol=0.05)
    assert _mean(network, 0.3, 0)[1].equal(each)
    assert not _mean(network, 0.3, 1)[1].equal(each)


def test_evaluation_and_weights_are_untouched() -> None:
    network, x = build(SUM, 0).eval(), torch.rand(8, 1, 8, 8)
    before, keys = network(x), list(network.state_dict())
    with drop_paths(network, 0) as drop:
        drop.rate = 0.9
        assert network(x).equal(before)
        assert list(network.state_dict()) == keys
    network.train()
    assert network(x).equal(network(x))


def _trained(drop_path: float, seed: int = 0) -> tuple[dict[str, np.ndarray], tuple[float, ...]]:
    data = dataset("digits")
    network = build(SUM, 0)
    recipe = Recipe(2, 16, 0.05, drop_path=drop_path)
    losses = fit(network, data.train.first(160), recipe, Normalizer(data.mean, data.std), seed=seed)
    return weights_of(network), losses


def test_training_is_a_function_of_the_seed() -> None:
    one, again, plain = _trained(0.5), _trained(0.5), _trained(0.0)
    assert one[1] == again[1] != plain[1]
    assert all((one[0][key] == again[0][key]).all() for key in one[0])
    assert one[0].keys() == plain[0].keys()


def test_the_rate_rises_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[float] = []
    call = TorchNetwork.forward
    data = dataset("digits")
    network = build(SUM, 0)

    def forward(self: TorchNetwork, x: torch.Tensor) -> torch.Tensor:
        hook = next(iter(self.nodes[1]._forward_hooks.values()))
        rates.append(hook.rate)  # type: ignore[attr-defined]
        return call(self, x)

    monkeypatch.setattr(TorchNetwork, "forward", forward)
    fit(network, data.train.first(64), Recipe(2, 16, drop_path=0.4), Normalizer(data.mean, data.std), seed=0)
    assert rates == pytest.approx([0.4 * step / 8 for step in range(8)])


def test_every_cell_space_has_paths_and_trains_with_them() -> None:
    for name in ("nasnet", "nasrl", "nasbench201"):
        each = space(name, classes=10, image_size=8, channels=1)
        network = build(each.decode(tuple(len(choice.options) - 1 for choice in each.choices)), 0)
        assert paths(network.network)
        with drop_paths(network.train(), 0) as drop:
            drop.rate = 0.5
            network(torch.rand(4, 1, 8, 8)).sum().backward()


def test_a_rate_is_a_chance() -> None:
    for bad in (-0.1, 1.0, float("nan")):
        with pytest.raises(ConfigError, match="drop_path"):
            replace(Recipe(), drop_path=bad)
