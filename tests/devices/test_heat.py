from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnas.devices import Device, Heat, connect, temperature
from mnas.devices.asking import ask, by_path
from mnas.devices.heat import heat, zone_celsius

BATTERY = "  level: 84\n  scale: 100\n  temperature: 274\n"


def zones(*told: tuple[str, str]) -> dict[str, str]:
    """Files of thermal zones of these types and temperatures."""
    files = {}
    for i, (kind, temp) in enumerate(told):
        files[f"/sys/class/thermal/thermal_zone{i}/type"] = kind
        files[f"/sys/class/thermal/thermal_zone{i}/temp"] = temp
    return files


@pytest.mark.parametrize(
    ("told", "celsius"),
    [
        ([("cpu-thermal", "48312")], 48.312),
        ([("gpu-thermal", "70000"), ("cpu-0-0-usr", "41000"), ("cpu-1-0-usr", "43500"), ("battery", "30000")], 43.5),
        ([("x86_pkg_temp", "52000"), ("acpitz", "27800")], 52.0),
        ([("BIG", "44"), ("LITTLE", "39"), ("G3D", "50")], 44.0),
        ([("soc", "97"), ("battery", "31000"), ("acpitz", "27800")], 27.8),
        ([("cpu-thermal", "-40000"), ("cpu1-thermal", "0"), ("board", "35000")], 35.0),
        ([("battery", "31000")], None),
        ([("cpu", "")], None),
        ([], None),
    ],
)
def test_zones(told: list[tuple[str, str]], celsius: float | None) -> None:
    assert zone_celsius(zones(*told)) == celsius


def test_the_nearest_thermometer_counts() -> None:
    printed = "".join(f"{path}:{text}\n" for path, text in zones(("cpu-thermal", "45000")).items())
    service = "Thermal Status: 1\n\tTemperature{mValue=39.5, mType=0, mName=CPU, mStatus=0}\n"
    told = {"thermal": service, "zones": printed, "battery": BATTERY}
    assert heat(told) == Heat(39.5, 1)
    assert heat(told | {"thermal": "Thermal Status: 1"}) == Heat(45.0, 1)
    assert heat(told | {"thermal": "", "zones": ""}) == Heat(27.4, 0)
    assert heat(dict.fromkeys(told, "")) == Heat(None, 0)
    assert (str(Heat(39.55)), str(Heat())) == ("39.5", "")


def test_temperature_of_this_machine() -> None:
    told = temperature(connect(Device("local")))
    assert told.celsius is None or 0 < told.celsius < 150


def test_ask_keeps_answers_apart() -> None:
    questions = {"one": "printf 'no line end'", "two": "no-such-program", "three": "echo; echo x", "four": ""}
    assert ask(connect(Device("local")), questions, 30) == {
        "one": "no line end",
        "two": "",
        "three": "\nx",
        "four": "",
    }


@given(st.text() | st.text("/:\n:: mnascputhermal_zone0typ"))
def test_any_text_is_taken(text: str) -> None:
    told = {"thermal": text, "zones": text, "battery": text}
    assert heat(told).throttling >= 0
    assert all(path in text for path in by_path(text))
