from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnas.devices.cores import Core, big_cores, big_mask, cluster_text, cores, mask

SAMPLES = Path(__file__).parents[3] / "shared" / "samples"
A55, X1, A78 = "0x41/0xd05", "0x41/0xd44", "0x41/0xd41"


def cpuinfo(*kinds: str) -> str:
    """The text of /proc/cpuinfo of a phone with cores of these kinds."""
    return "".join(
        "processor\t: {}\nBogoMIPS\t: 49.15\nCPU implementer\t: {}\nCPU part\t: {}\n\n".format(i, *kind.split("/"))
        for i, kind in enumerate(kinds)
    )


def test_clusters_with_frequencies() -> None:
    khz = {0: 1803000, 1: 1803000, 2: 2253000, 3: 2802000}
    found = cores(cpuinfo(A55, A55, A78, X1), khz)
    assert cluster_text(found) == "1x Cortex-X1 2.80 GHz + 1x Cortex-A78 2.25 GHz + 2x Cortex-A55 1.80 GHz"
    assert big_cores(found) == [3]
    assert big_mask(found) == "8"


def test_big_cores_by_kind_where_frequencies_agree_or_are_unknown() -> None:
    assert big_cores(cores(cpuinfo(X1, A55, X1, A78))) == [0, 2]
    assert big_cores(cores(cpuinfo(A55, A78, A55), dict.fromkeys(range(3), 2000000))) == [1]
    assert big_cores([Core(0, A55, 1000), Core(1, "0x99/0x001", 1000)]) == [0]


def test_no_mask_where_all_cores_are_alike() -> None:
    assert big_mask(cores(cpuinfo(*["0x41/0xd08"] * 4))) == ""
    assert big_mask([]) == ""
    assert big_cores([]) == []
    assert cluster_text([]) == ""


def test_cores_without_a_kind() -> None:
    x86 = "".join(f"processor\t: {i}\nvendor_id\t: AuthenticAMD\n\n" for i in range(2))
    assert cluster_text(cores(x86)) == "2 cores"
    assert cluster_text(cores(x86, {0: 3400000, 1: 3400000})) == "2 cores 3.40 GHz"


def test_old_kernels_name_the_part_once() -> None:
    text = "processor\t: 0\nprocessor\t: 1\n\nCPU implementer\t: 0x41\nCPU part\t: 0xc07\nHardware\t: Old\n"
    assert cluster_text(cores(text)) == "2x Cortex-A7"


def test_unknown_parts_keep_their_numbers() -> None:
    assert cluster_text(cores(cpuinfo("0x61/0x023"))) == "1x 0x61/0x023"


@pytest.mark.parametrize(
    ("numbers", "text"), [([4, 5, 6, 7], "f0"), ([0], "1"), ([7, 7], "80"), ([], ""), (range(12), "fff")]
)
def test_masks(numbers: list[int], text: str) -> None:
    assert mask(numbers) == text


@pytest.mark.parametrize(
    ("name", "text", "big"),
    [
        ("Google-Tensor-G2", "2x Cortex-X1 + 2x Cortex-A78 + 4x Cortex-A55", "c0"),
        ("HiSilicon-Kirin-970", "4x Cortex-A73 + 4x Cortex-A53", "f0"),
        ("Exynos-9820", "2x Exynos-M4 + 2x Cortex-A75 + 4x Cortex-A55", "c0"),
        ("Exynos-7885", "2x Cortex-A73 + 6x Cortex-A53", "c0"),
        ("Qualcomm-Snapdragon-450", "8x Cortex-A53", ""),
    ],
)
def test_real_phones(name: str, text: str, big: str) -> None:
    path = SAMPLES / f"cpuinfo_{name}.txt"
    if not path.is_file():
        pytest.skip(f"no captured {path.name} beside this checkout")
    found = cores(path.read_text())
    assert len(found) == 8
    assert cluster_text(found) == text
    assert big_mask(found) == big


@given(st.text(), st.dictionaries(st.integers(0, 300), st.integers(0, 10**7)))
def test_any_text_is_taken(text: str, khz: dict[int, int]) -> None:
    found = cores(text, khz)
    assert isinstance(cluster_text(found) + big_mask(found), str)


@given(st.lists(st.sampled_from([A55, X1, A78, "0x7/0x7", "/"]), max_size=12), st.data())
def test_big_cores_have_the_largest_frequency(kinds: list[str], data: st.DataObject) -> None:
    khz = {i: data.draw(st.integers(1, 4)) for i in range(len(kinds))}
    found = cores(cpuinfo(*kinds), khz)
    big = big_cores(found)
    assert bool(big) == bool(kinds)
    assert all(khz[i] == max(khz.values()) for i in big)
    assert int(mask(big) or "0", 16).bit_count() == len(big)
