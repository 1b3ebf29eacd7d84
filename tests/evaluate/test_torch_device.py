from __future__ import annotations

import pytest
import torch

from mnas.errors import ConfigError
from mnas.evaluate.torch_device import check_torch_device


def test_the_processor_is_always_there() -> None:
    check_torch_device("cpu")


@pytest.mark.parametrize("word", ["gpu", "", "cuda:", "cuda:one", "cpu:0", "meta", "CPU", "cuda:0\n"])
def test_other_words_are_refused(word: str) -> None:
    with pytest.raises(ConfigError, match="no such kind of device"):
        check_torch_device(word)


@pytest.mark.parametrize("word", ["cuda", "cuda:99", "mps"])
def test_devices_that_are_absent_are_refused(word: str) -> None:
    """Except for a `cuda` or `mps` that this machine has."""
    try:
        torch.empty(1, device=word)
    except (RuntimeError, AssertionError):
        with pytest.raises(ConfigError, match=rf"cannot train on torch_device '{word}' \(.+\); available: cpu"):
            check_torch_device(word)
    else:
        check_torch_device(word)
