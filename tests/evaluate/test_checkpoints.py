from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mnas.errors import FormatError
from mnas.evaluate import Recipe, TrainedNetwork, load_network, train
from mnas.ir import Architecture

SMALL = Architecture.parse("input 1x8x8\nconv_c8_s2\nhead_c16_n10")


def same(a: TrainedNetwork, b: TrainedNetwork) -> bool:
    mine, theirs = vars(a) | {"weights": None}, vars(b) | {"weights": None}
    return (
        mine == theirs
        and a.weights.keys() == b.weights.keys()
        and all((a.weights[key] == b.weights[key]).all() and a.weights[key].dtype == np.float32 for key in a.weights)
    )


def test_a_trained_network_is_read_back(tmp_path: Path) -> None:
    network = train(SMALL, "digits", recipe=Recipe(1, 16), images=64, seed=5)
    network.save(tmp_path / "a" / "net.npz")
    assert same(load_network(tmp_path / "a" / "net.npz"), network)
    network.save(tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == (tmp_path / "a" / "net.npz").read_bytes()


def test_an_untrained_network_is_read_back(tmp_path: Path) -> None:
    network = TrainedNetwork.untrained(SMALL, 3)
    assert network.dataset == ""
    assert network.test_accuracy is None
    assert len(network.classes) == 10
    network.save(tmp_path / "net.npz")
    assert same(load_network(tmp_path / "net.npz"), network)


def edited(path: Path, **arrays: np.ndarray) -> Path:
    with np.load(path, allow_pickle=False) as file:
        whole = {key: file[key] for key in file.files}
    np.savez(path, **{key: value for key, value in {**whole, **arrays}.items() if value.size})
    return path


def test_edits_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    TrainedNetwork.untrained(SMALL).save(path)
    weight = np.full((10,), 0.5, np.float32)
    with pytest.raises(FormatError, match="SHA-256 does not match"):
        load_network(edited(path, **{"weights/nodes.1.2.bias": weight}))
    TrainedNetwork.untrained(SMALL).save(path)
    with np.load(path) as file:
        header = file["header"].tobytes().replace(b'"test_accuracy":null', b'"test_accuracy":0.99')
    with pytest.raises(FormatError, match="SHA-256 does not match"):
        load_network(edited(path, header=np.frombuffer(header, np.uint8)))
    with pytest.raises(FormatError, match="no header"):
        load_network(edited(path, header=np.empty(0)))


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    with pytest.raises(FormatError, match="cannot be read"):
        load_network(path)
    TrainedNetwork.untrained(SMALL).save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FormatError, match=str(path)):
        load_network(path)


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    network = TrainedNetwork.untrained(SMALL)
    other = TrainedNetwork.untrained(Architecture.parse("input 1x8x8\nconv_c4_s2\nhead_c16_n10"))
    object.__setattr__(network, "weights", other.weights)
    network.save(tmp_path / "net.npz")
    with pytest.raises(FormatError, match="another version, or damaged"):
        load_network(tmp_path / "net.npz")
