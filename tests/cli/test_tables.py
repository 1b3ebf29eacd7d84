"""`mnas tables`: both forms of output, and exit codes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from mnas.cli.app import run
from mnas.cli.tables import VERBS
from mnas.evaluate import evaluators
from mnas.ir import Architecture, Placement, Shape, chain
from mnas.latency import load_table
from mnas.ops.mobile import ConvBlock, Head, MBConv
from mnas.runtimes import runtimes
from mnas.spaces import Choice, Encoding, spaces, values
from tests.latency.fakes import FakeRuntime, install, measure_tiny
from tests.searchers.fakes import ToyEvaluator

EXTRA = Architecture.parse("input 1x8x8\nconv_c8_s2\nmbconv_c24_k5\nconv_c24_k7")
YAML = """
Conv-input:8x8x3-output:4x4x8: {count: 100, mean: 2.0, std: 0.2}
ZeroLayer-input:4x4x8-output:4x4x8: {count: 1, mean: 0.1, std: 0.0}
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two tables of one device; the second has three rows more and was measured on a slower day."""
    folder = tmp_path_factory.mktemp("tables")
    list(runtimes)
    fake = install(FakeRuntime(swing=0.02, noise=0.005))
    measure_tiny(folder / "first")
    fake.slowness = 1.3
    measure_tiny(folder / "second", architectures=[EXTRA])
    del runtimes._entries["fake"]
    return folder


@pytest.fixture
def folder(measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it that is the current folder's latency_tables."""
    shutil.copytree(measured, tmp_path / "latency_tables")
    (tmp_path / "small.yaml").write_text(YAML)
    monkeypatch.setattr("mnas.latency.storage.folder", lambda name: tmp_path / "shipped" / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "latency_tables"


def ask(capsys: pytest.CaptureFixture[str], code: int, *arguments: object) -> dict[str, Any]:
    assert run(["tables", *map(str, arguments), "--json"]) == code
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == f"mnas.tables.{arguments[0]}/1"
    return dict(document)


def shown(capsys: pytest.CaptureFixture[str], code: int, *arguments: object) -> str:
    assert run(["tables", *map(str, arguments)]) == code
    said = capsys.readouterr()
    return said.out + said.err


def test_help_lists_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert all(f"  {name} " in shown(capsys, 0, "--help") for name in VERBS)


def test_list(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, 0, "import", "small.yaml", "--device", "phone", "-o", "latency_tables/phone")
    (folder / "second.csv").write_text("nothing")
    listed = {each["table"]: each for each in ask(capsys, 0, "list")["tables"]}
    assert list(listed) == ["first", "phone", "second"]
    first = listed["first"]
    assert (first["place"], first["rows"], first["input"], first["verdict"]) == ("own", 39, "1x8x8", "valid")
    assert first["mape_percent"] < 5
    assert (listed["phone"]["verdict"], listed["phone"]["mape_percent"]) == ("unverified", None)
    assert listed["second"]["verdict"] == "damaged"
    said = shown(capsys, 0, "list")
    assert "3 latency tables" in said
    assert "second.csv must start with the line" in said.replace("\n", " ")


def test_show(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = ask(capsys, 0, "show", "first", "--top", 3)
    assert [document["rows"], len(document["slowest"]), document["verdict"]] == [39, 3, "valid"]
    assert "first: 39 rows" in shown(capsys, 0, "show", "first")


def test_validate(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = ask(capsys, 0, "validate", "first", "second")
    assert document["passed"] is True
    assert [each["table"] for each in document["tables"]] == ["first", "second"]
    document = ask(capsys, 4, "validate", "first", "--space", "mnasnet-small")
    failed = {each["check"]: each for each in document["tables"][0]["checks"] if not each["passed"]}
    assert set(failed) == {"covers mnasnet-small", "no others"}
    assert len(failed["no others"]["rows"]) == 39
    said = shown(capsys, 4, "validate", "first", "--space", "mnasnet-small")
    assert "39 rows are of another space" in said
    assert "2 checks failed: first: covers mnasnet-small; first: no others" in said


def test_validate_damaged_and_absent_tables(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "first.csv"
    path.write_text(path.read_text().replace(",0.0,", ",nan,", 1).replace("\nconv", "\n\nconv", 1))
    document = ask(capsys, 1, "validate", "second", "first")
    assert [each["passed"] for each in document["tables"]] == [True, False]
    assert "first.csv line" in document["tables"][1]["checks"][0]["detail"]
    assert ask(capsys, 2, "validate", "nothing")["passed"] is False
    assert "no latency table nothing" in shown(capsys, 2, "validate", "nothing")


def test_diff(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = ask(capsys, 0, "diff", "first", "second", "--top", 4)
    assert document["level_by"] == "anchors"
    assert document["level"] == pytest.approx(1.3, rel=0.05)
    assert document["leveled"]["mape_percent"] < 3 < document["raw"]["mape_percent"]
    assert (document["only_first"], len(document["only_second"])) == ([], 2)
    assert len(document["worst"]) == 4
    assert all(each["remeasurement_mape_percent"] < 5 for each in document["tables"])
    assert "level divided out" in shown(capsys, 0, "diff", "first", "second")


def test_diff_of_different_devices(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, 0, "import", "small.yaml", "--device", "phone", "-o", "phone")
    document = ask(capsys, 0, "diff", "first", "phone")
    assert (document["same_device"], document["level_by"], document["spearman"]) == (False, "nothing", None)
    assert document["raw"] == {"n": 0, "low": None, "median": None, "high": None, "mape_percent": None}
    assert "two tables of different devices" in shown(capsys, 0, "diff", "first", "phone")


def test_merge(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = ask(capsys, 0, "merge", "first", "second", "-o", "both")
    assert (document["rows"], document["added"], document["verdict"]) == (41, 2, "valid")
    assert document["level"]["n"] == 8
    assert document["overlap"]["n"] == 39
    assert document["overlap"]["mape_percent"] < 3
    assert load_table("both").predict(EXTRA).ms > 0
    assert "both.samples.csv.gz exists already" in shown(capsys, 2, "merge", "first", "second", "-o", "both")
    assert "'second' lacks: there is nothing" in shown(capsys, 2, "merge", "second", "first", "-o", "c")
    assert "41 rows, 2 of them from second" in shown(capsys, 0, "merge", "first", "second", "-o", "d")


def test_import(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = ask(capsys, 0, "import", "small.yaml", "--device", "phone", "--runtime", "tflite", "-o", "phone")
    assert (document["format"], document["keys"], document["rows"]) == ("proxylessnas", 2, 2)
    assert list(document["unsaid"]) == ["ZeroLayer-input:4x4x8-output:4x4x8"]
    assert document["verdict"] == "unverified"
    said = shown(capsys, 0, "import", "small.yaml", "--device", "phone", "-o", "again")
    assert "1   no layer of proxylessnas tables is called ZeroLayer" in said
    assert "must be HxWxC" not in said
    assert "has the fields" in shown(
        capsys, 1, "import", _spoilt(folder), "--device", "phone", "--format", "ofa", "-o", "x"
    )
    assert "Missing option '--device'" in shown(capsys, 2, "import", "small.yaml", "-o", "x")
    assert "cannot read nothing.yaml" in shown(capsys, 1, "import", "nothing.yaml", "--device", "a", "-o", "x")
    assert not list(folder.parent.glob("x.*"))


def _spoilt(folder: Path) -> Path:
    path = folder.parent / "spoilt.yaml"
    path.write_text("Conv-input:8x8x3: {count: 100, mean: 2.0, std: 0.2}\n")
    return path


def test_an_imported_table_prices_and_says_that_it_is_unverified(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shown(capsys, 0, "import", "small.yaml", "--device", "phone", "-o", "phone")
    (folder.parent / "stem.txt").write_text("input 3x8x8\nconv_c8_s2\n")
    assert run(["predict", "stem.txt", "--table", "phone", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["total_ms"], document["verdict"]) == (pytest.approx(2.0), "unverified")
    assert run(["predict", "stem.txt", "--table", "phone"]) == 0
    assert "unverified: published rows" in " ".join(capsys.readouterr().out.split())


@dataclass(frozen=True)
class Blocks:
    """A space of published blocks: one MBConv of expansion 3 or 6 and kernel 3 or 5."""

    classes: int = 10
    image_size: int = 8
    channels: int = 1
    name: str = "blocks"

    @property
    def x(self) -> Shape:
        return Shape(self.channels, self.image_size, self.image_size)

    @property
    def choices(self) -> tuple[Choice, ...]:
        return Choice("kernel", (3, 5)), Choice("expansion", (3, 6))

    def decode(self, encoding: Encoding) -> Architecture:
        k, e = map(int, values(self, encoding))
        return chain(self.x, [ConvBlock(8, 3, 2), MBConv(16, k, 1, e), Head(32, self.classes)])

    def placements(self) -> Iterator[Placement]:
        encodings = product(*(range(len(choice.options)) for choice in self.choices))
        yield from dict.fromkeys(p for encoding in encodings for p in self.decode(encoding).placements)


def test_a_search_within_an_imported_table_says_that_it_is_unverified(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    list(spaces), list(evaluators)
    monkeypatch.setitem(spaces._entries, "blocks", Blocks)
    monkeypatch.setitem(evaluators._entries, "toy", ToyEvaluator)
    block = "expanded_conv-input:4x4x8-output:4x4x16-expand:{e}-kernel:{k}-stride:1-idskip:0"
    ms = {
        "Conv-input:8x8x1-output:4x4x8": 1.0,
        **{block.format(e=e, k=k): e * k / 10 for e, k in product((3, 6), (3, 5))},
        "Conv_1-input:4x4x16-output:4x4x32": 0.5,
        "Logits-input:4x4x32-output:10": 0.5,
    }
    file = folder.parent / "blocks.yaml"
    file.write_text("".join(f"{key}:\n  count: 50\n  mean: {value}\n  std: 0.01\n" for key, value in ms.items()))
    assert ask(capsys, 0, "import", file, "--device", "phone", "-o", "phone")["unsaid"] == {}
    assert shown(capsys, 4, "validate", "phone", "--space", "blocks")
    told = ["--space", "blocks", "--data", "digits", "--table", "phone", "--target-ms", "4", "--evaluator", "toy"]
    command = ["search", *told, "--trials", "3", "--workers", "0", "--run", "run", "-q"]
    assert run([*command, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["table"], document["verdict"]) == ("phone", "unverified")
    assert document["best"]["latency_ms"] <= 4
    assert run(command) == 0
    assert "unverified: published rows" in " ".join(capsys.readouterr().out.split())
