from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnas.devices import Device, Heat, facts
from mnas.devices.probing import (
    cache_kib,
    cpu_model,
    governors,
    max_khz,
    memory_mib,
    os_name,
    size_kib,
    versions,
)

X86 = "".join(f"processor\t: {i}\nmodel\t\t: 17\nmodel name\t: AMD EPYC\nflags\t\t: fpu vme\n\n" for i in range(2))
ARM = "".join(
    f"processor\t: {i}\nCPU implementer\t: {maker}\nCPU architecture: 8\nCPU part\t: {part}\n\n"
    for i, (maker, part) in enumerate([("0x41", "0xd05")] * 4 + [("0x41", "0xd44")] * 2 + [("0x51", "0x803")])
)
SAMPLES = Path(__file__).parents[3] / "shared" / "samples"


def test_cpu_model_of_x86() -> None:
    assert cpu_model(X86) == "AMD EPYC"


def test_cpu_model_of_arm() -> None:
    assert cpu_model(ARM) == "2x Cortex-X1 + 1x Kryo-3xx-Silver + 4x Cortex-A55"
    assert cpu_model("Processor\t: AArch64\n" + ARM + "Hardware\t: Kirin 970\n") == "Kirin 970"
    board = "model name\t: ARMv7 Processor rev 3 (v7l)\nHardware\t: BCM2711\nModel\t\t: Raspberry Pi 4 Model B\n"
    assert cpu_model(board) == "Raspberry Pi 4 Model B"


def test_nothing_known_is_empty() -> None:
    assert (cpu_model(""), memory_mib(""), os_name(""), cache_kib({}), max_khz({}), governors({})) == (
        "",
        "",
        "",
        {},
        {},
        "",
    )
    assert versions("") == {"python": "", "wheels": ""}


def test_a_real_chip_is_named() -> None:
    path = SAMPLES / "cpuinfo_Qualcomm-Snapdragon-450.txt"
    if not path.is_file():
        pytest.skip(f"no captured {path.name} beside this checkout")
    assert cpu_model(path.read_text()) == "Qualcomm Technologies, Inc SDM450"


def test_frequencies_and_governors() -> None:
    cpu = "/sys/devices/system/cpu"
    files = {f"{cpu}/cpu{i}/cpufreq/cpuinfo_max_freq": "1803000" if i < 4 else "2802000" for i in range(12)}
    assert max_khz(files | {f"{cpu}/cpu0/cpufreq/cpuinfo_max_freq": "?", f"{cpu}/cpux/cpufreq/x": "1"})[11] == 2802000
    same = {f"{cpu}/cpu{i}/cpufreq/scaling_governor": "schedutil" for i in range(12)}
    assert governors(same) == "schedutil"
    other = {f"{cpu}/cpu{i}/cpufreq/scaling_governor": "performance" for i in (4, 5, 6, 11)}
    assert governors(same | other) == "0-3,7-10 schedutil, 4-6,11 performance"


def test_a_board_and_its_python() -> None:
    assert os_name('NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n') == "Debian GNU/Linux 12 (bookworm)"
    assert versions("python 3.11.2\nnumpy 2.0\nonnxruntime 1.22.0\nsome words here\n") == {
        "python": "3.11.2",
        "wheels": "onnxruntime 1.22.0, numpy 2.0",
    }


@given(st.integers(0, 10**6))
def test_sizes(n: int) -> None:
    assert size_kib(f"{n}K") == str(n)
    assert size_kib(f"{n}M") == str(1024 * n)
    assert size_kib(f"{n}") == ""


@given(st.text())
def test_parsers_take_any_text(text: str) -> None:
    for parser in (cpu_model, memory_mib, size_kib, os_name):
        assert isinstance(parser(text), str)
    assert set(versions(text)) == {"python", "wheels"}
    cpufreq = "/sys/devices/system/cpu/cpu0/cpufreq"
    assert isinstance(governors({f"{cpufreq}/scaling_governor": text, text: text}), str)
    assert len(max_khz({f"{cpufreq}/cpuinfo_max_freq": text, text: text})) < 2


def test_facts_of_this_machine() -> None:
    told = facts(Device("local"))
    assert told["status"] == "ready"
    assert told["machine"]
    assert told["system"] == "Linux"
    assert int(told["cores"]) >= 1
    assert int(told["memory_mib"]) > 0
    assert told["python"] == ".".join(map(str, sys.version_info[:3]))
    assert "onnxruntime" in told["wheels"]
    assert "temperature_c" in told


def test_facts_hold_the_temperature_before() -> None:
    told = facts(Device("local"), before=Heat(41.25, 2))
    assert told["temperature_before_c"] == "41.2"
    assert "temperature_after_c" in told
    assert "temperature_c" not in told


def test_a_python_that_is_not_there_is_empty() -> None:
    told = facts(Device("local", python="/no/such/python"))
    assert (told["python"], told["wheels"], told["status"]) == ("", "", "ready")
