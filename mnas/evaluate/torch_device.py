"""Where torch trains, checked before anything is started."""

from __future__ import annotations

import re

import torch

from mnas.errors import ConfigError


def check_torch_device(word: str) -> None:
    """Raise ConfigError unless `word` is cpu, cuda, cuda:N or mps, and torch can make a tensor there."""
    if re.fullmatch(r"cpu|mps|cuda(:\d+)?", word):
        try:
            torch.empty(1, device=word)
        except (RuntimeError, AssertionError) as error:  # a torch built without CUDA asserts
            reason = str(error).partition("\n")[0]
        else:
            return
    else:
        reason = "no such kind of device"
    raise ConfigError(f"cannot train on torch_device {word!r} ({reason}); available: {', '.join(_available())}")


def _available() -> list[str]:
    cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    return ["cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])]
