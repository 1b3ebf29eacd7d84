"""What a phone of the tests says about itself: written for the tests, in the formats of real ones."""

from __future__ import annotations

from tests.phones.phone import FakePhone

PROPERTIES = {
    "ro.product.manufacturer": "maker",
    "ro.product.model": "Fake Phone",
    "ro.product.cpu.abi": "arm64-v8a",
    "ro.soc.manufacturer": "Makers",
    "ro.soc.model": "MS100",
    "ro.build.version.release": "13",
    "ro.build.version.sdk": "33",
}
CORES = (("0xd05", 1803000),) * 4 + (("0xd44", 2802000),) * 2
"""Part number and highest frequency in kHz of each core: four small ones and two big ones."""


def furnish(phone: FakePhone) -> None:
    """Give a phone its properties, cores, memory, battery and thermal service."""
    phone.answer("getprop", "", "".join(f"[{key}]: [{value}]\n" for key, value in PROPERTIES.items()))
    phone.answer("uname", "-m", "aarch64\n")
    phone.write("/proc/cpuinfo", "\n".join(_core(i, part) for i, (part, _) in enumerate(CORES)))
    phone.write("/proc/meminfo", "MemTotal:        7764380 kB\nMemFree:          512000 kB\n")
    phone.write("/proc/loadavg", "3.10 2.90 2.70 2/4100 20211\n")
    phone.write("/proc/sys/kernel/ostype", "Linux\n")
    phone.write("/proc/sys/kernel/osrelease", "5.10.107-android13\n")
    for i, (_, khz) in enumerate(CORES):
        cpufreq = f"/sys/devices/system/cpu/cpu{i}/cpufreq"
        phone.write(f"{cpufreq}/cpuinfo_max_freq", f"{khz}\n")
        phone.write(f"{cpufreq}/scaling_governor", "sched_pixel\n")
    battery = "Current Battery Service state:\n  USB powered: true\n  level: 84\n  scale: 100\n  temperature: 274\n"
    phone.answer("dumpsys", "battery", battery)
    heat(phone, 31.2)


def heat(phone: FakePhone, celsius: float, throttling: int = 0) -> None:
    """Make the phone's thermal service tell a temperature of its cores and a status."""
    phone.answer(
        "dumpsys",
        "thermalservice",
        f"IsStatusOverride: false\nThermal Status: {throttling}\n"
        "Cached temperatures:\n\tTemperature{mValue=55.0, mType=0, mName=old, mStatus=0}\n"
        "HAL Ready: true\nCurrent temperatures from HAL:\n"
        f"\tTemperature{{mValue={celsius}, mType=0, mName=BIG, mStatus={throttling}}}\n"
        "\tTemperature{mValue=28.5, mType=2, mName=battery, mStatus=0}\n"
        "\tTemperature{mValue=NaN, mType=0, mName=broken, mStatus=0}\n",
    )


def _core(number: int, part: str) -> str:
    told = {
        "processor": number, "BogoMIPS": "49.15", "CPU implementer": "0x41", "CPU architecture": 8,
        "CPU variant": "0x1", "CPU part": part, "CPU revision": 0,
    }  # fmt: skip
    return "".join(f"{key}\t: {value}\n" for key, value in told.items())
