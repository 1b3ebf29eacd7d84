from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnas.devices.android import battery, emulated, model, properties, soc, system, thermal_celsius, thermal_status

SAMPLES = Path(__file__).parents[3] / "shared" / "samples"


def captured(name: str) -> str:
    path = SAMPLES / name
    if not path.is_file():
        pytest.skip(f"no captured {name} beside this checkout")
    return path.read_text()


def test_a_real_getprop() -> None:
    found = properties(captured("getprop_huawei_kirin990.txt"))
    assert model(found) == "HUAWEI EBG-AN10"
    assert soc(found) == "kirin990"
    assert system(found) == "Android (API 29)"


def test_properties_of_newer_phones() -> None:
    text = (
        "[ro.product.manufacturer]: [Google]\n[ro.product.model]: [Pixel 6]\n[ro.soc.manufacturer]: [Google]\n"
        "[ro.soc.model]: [Tensor]\n[ro.build.version.release]: [13]\n[ro.build.version.sdk]: [33]\n"
        "[two.lines]: [a\nb]\n[empty]: []\nnoise\n[ro.brackets]: [[x]]\n"
    )
    found = properties(text)
    assert (model(found), soc(found), system(found)) == ("Google Pixel 6", "Google Tensor", "Android 13 (API 33)")
    assert found["empty"] == ""
    assert found["ro.brackets"] == "[x]"
    named = {"ro.product.manufacturer": "xiaomi", "ro.product.model": "Xiaomi 13"}
    assert model(named) == "Xiaomi 13"
    assert (model({}), soc({}), system({})) == ("", "", "")
    assert soc({"ro.hardware": "qcom"}) == "qcom"


@pytest.mark.parametrize("key", ["ro.kernel.qemu", "ro.boot.qemu"])
def test_the_emulator_of_the_developer_tools(key: str) -> None:
    assert emulated({key: "1"})
    assert not emulated({key: "0"})
    assert not emulated({})


def test_battery() -> None:
    assert battery(captured("dumpsys_battery.txt")) == {"battery_percent": "100", "battery_c": "27.4"}


def test_battery_that_tells_little() -> None:
    nothing = {"battery_percent": "", "battery_c": ""}
    assert battery("") == nothing
    assert battery("Can't find service: battery\n") == nothing
    assert battery("level: 50\nscale: 0\ntemperature: warm") == nothing
    assert battery("  level: 45\n  scale: 50\n  temperature: -15") == {"battery_percent": "90", "battery_c": "-1.5"}


def test_a_real_thermal_service() -> None:
    text = captured("thermalservice_samsung_a52_android12.txt")
    assert thermal_status(text) == 0
    assert thermal_celsius(text) == 25.6


def test_thermal_service() -> None:
    text = (
        "Thermal Status: 3\nCached temperatures:\n\tTemperature{mValue=99.0, mType=0, mName=CPU0, mStatus=0}\n"
        "Current temperatures from HAL:\n\tTemperature{mValue=NaN, mType=0, mName=CPU0, mStatus=0}\n"
        "\tTemperature{mValue=41.5, mType=0, mName=CPU1, mStatus=3}\n"
        "\tTemperature{mValue=39.0, mType=0, mName=CPU2, mStatus=3}\n"
        "\tTemperature{mValue=60.0, mType=1, mName=GPU, mStatus=3}\n"
    )
    assert thermal_status(text) == 3
    assert thermal_celsius(text) == 41.5
    assert thermal_celsius("\tTemperature{mValue=38.1, mType=3, mName=skin, mStatus=0}") == 38.1
    assert thermal_celsius("\tTemperature{mValue=0.0, mType=0, mName=CPU, mStatus=0}") is None
    assert thermal_celsius("\tTemperature{mValue=3.6E+1, mType=0, mName=CPU, mStatus=0}") is None
    assert (thermal_status(""), thermal_celsius("Can't find service: thermalservice")) == (0, None)


@given(st.text() | st.text("Temperature{}mValue=,mType0123456789.- :\n\tStausCnrfoHAL"))
def test_any_text_is_taken(text: str) -> None:
    found = properties(text)
    assert isinstance(model(found) + soc(found) + system(found), str)
    assert set(battery(text)) == {"battery_percent", "battery_c"}
    assert thermal_status(text) >= 0
    assert (thermal_celsius(text) or 1.0) > 0
