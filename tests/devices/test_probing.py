from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnas.devices import Device, facts, transports
from mnas.devices.probing import cache_kib, core_count, cpu_model, memory_mib, size_kib

X86 = "".join(f"processor\t: {i}\nmodel\t\t: 17\nmodel name\t: AMD EPYC\nflags\t\t: fpu vme\n\n" for i in range(2))
ARM = "".join(
    f"processor\t: {i}\nCPU implementer\t: {maker}\nCPU architecture: 8\nCPU part\t: {part}\n\n"
    for i, (maker, part) in enumerate([("0x41", "0xd05")] * 4 + [("0x41", "0xd44")] * 2 + [("0x51", "0x803")])
)
SAMPLES = Path(__file__).parents[3] / "shared" / "samples"


def test_cpu_model_of_x86() -> None:
    assert cpu_model(X86) == "AMD EPYC"
    assert core_count(X86) == "2"


def test_cpu_model_of_arm() -> None:
    assert cpu_model(ARM) == "4x Cortex-A55 + 2x Cortex-X1 + 1x 0x51/0x803"
    assert core_count(ARM) == "7"
    assert cpu_model("Processor\t: AArch64\n" + ARM + "Hardware\t: Kirin 970\n") == "Kirin 970"
    board = "model name\t: ARMv7 Processor rev 3 (v7l)\nHardware\t: BCM2711\nModel\t\t: Raspberry Pi 4 Model B\n"
    assert cpu_model(board) == "Raspberry Pi 4 Model B"


def test_nothing_known_is_empty() -> None:
    assert (cpu_model(""), core_count(""), memory_mib(""), cache_kib({})) == ("", "", "", {})


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("Google-Tensor-G2", "4x Cortex-A55 + 2x Cortex-A78 + 2x Cortex-X1"),
        ("HiSilicon-Kirin-970", "4x Cortex-A53 + 4x Cortex-A73"),
        ("Exynos-9820", "4x Cortex-A55 + 2x Cortex-A75 + 2x 0x53/0x003"),
        ("Exynos-7885", "6x Cortex-A53 + 2x Cortex-A73"),
        ("Qualcomm-Snapdragon-450", "Qualcomm Technologies, Inc SDM450"),
    ],
)
def test_cpuinfo_of_real_phones(name: str, model: str) -> None:
    path = SAMPLES / f"cpuinfo_{name}.txt"
    if not path.is_file():
        pytest.skip(f"no captured {path.name} beside this checkout")
    text = path.read_text()
    assert core_count(text) == "8"
    assert cpu_model(text) == model


@given(st.integers(0, 10**6))
def test_sizes(n: int) -> None:
    assert size_kib(f"{n}K") == str(n)
    assert size_kib(f"{n}M") == str(1024 * n)
    assert size_kib(f"{n}") == ""


@given(st.text())
def test_parsers_take_any_text(text: str) -> None:
    for parser in (cpu_model, core_count, memory_mib, size_kib):
        assert isinstance(parser(text), str)


class Recorded:
    """A transport that answers `uname` and `grep` from memory."""

    def __init__(self, device: Device) -> None:
        self.cache = "/sys/devices/system/cpu/cpu0/cache"

    def push(self, local: Path, remote: str) -> None:
        raise AssertionError

    def pull(self, remote: str, local: Path) -> None:
        raise AssertionError

    def run(self, argv: Sequence[str], timeout_s: float) -> tuple[int, str, str]:
        if argv[0] == "uname":
            return 0, "aarch64\n", ""
        lines = [f"/proc/cpuinfo:{line}" for line in ARM.splitlines() if line]
        lines += ["/proc/meminfo:MemTotal:        3884184 kB", "/proc/loadavg:0.52 0.58 0.59 1/400 7"]
        lines += ["/proc/sys/kernel/ostype:Linux", "/proc/sys/kernel/osrelease:5.10.43"]
        lines += ["/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor:schedutil"]
        for i, (level, kind, size) in enumerate([(1, "Data", "32K"), (1, "Instruction", "64K"), (2, "Unified", "1M")]):
            lines += [f"{self.cache}/index{i}/level:{level}", f"{self.cache}/index{i}/type:{kind}"]
            lines += [f"{self.cache}/index{i}/size:{size}"]
        return 2, "\n".join(lines) + "\n", ""


def test_facts_of_a_recorded_device(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "local" in list(transports)
    monkeypatch.setitem(transports._entries, "recorded", Recorded)
    assert facts(Device("phone", "recorded")) == {
        "status": "ready",
        "cpu_model": "4x Cortex-A55 + 2x Cortex-X1 + 1x 0x51/0x803",
        "machine": "aarch64",
        "cores": "7",
        "l2_kib": "1024",
        "l3_kib": "",
        "system": "Linux",
        "release": "5.10.43",
        "governor": "schedutil",
        "memory_mib": "3793",
        "load_average": "0.52 0.58 0.59",
    }


def test_facts_of_this_machine() -> None:
    told = facts(Device("local"))
    assert told["status"] == "ready"
    assert told["machine"]
    assert told["system"] == "Linux"
    assert int(told["cores"]) >= 1
    assert int(told["memory_mib"]) > 0
