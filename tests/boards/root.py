"""The root of the test board: Debian for arm64 with the aarch64 wheels of the runtimes, made once and kept in a cache.

Its processor is emulated by qemu, and what would tell of this host (/proc/cpuinfo, /sys) is replaced by a board's.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

SUITE, PYTHON = "bookworm", "3.11"
PACKAGES = (
    "python3", "python3-minimal", "libpython3-stdlib", "libstdc++6", "libgomp1", "dash", "bash", "coreutils",
    "util-linux", "grep", "sed", "tar", "findutils",
)  # fmt: skip
WHEELS = ("ai-edge-litert", "onnxruntime", "numpy")
"""In the versions that are installed here, so that results may be compared."""
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64")
CPUINFO = "".join(
    f"processor\t: {i}\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU implementer\t: 0x41\n"
    "CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n\n"
    for i in range(2)
) + "Revision\t: b03111\nModel\t\t: Emulated Test Board\n"  # fmt: skip
"""Two Cortex-A72 without dot products: the wheels choose their kernels by it."""
CPU = {
    "cpufreq/scaling_governor": "ondemand",
    "cpufreq/scaling_cur_freq": "1500000",
    "cpufreq/cpuinfo_min_freq": "600000",
    "cpufreq/cpuinfo_max_freq": "1500000",
    "topology/physical_package_id": "0",
    "topology/core_siblings_list": "0-1",
}
SYS = (
    {f"devices/system/cpu/{word}": "0-1" for word in ("present", "possible", "online")}
    | {"devices/system/cpu/kernel_max": "2"}
    | {f"devices/system/cpu/cpu{i}/{name}": text for i in range(2) for name, text in CPU.items()}
    | {f"devices/system/cpu/cpu{i}/topology/core_id": str(i) for i in range(2)}
    | {"class/thermal/thermal_zone0/type": "cpu-thermal", "class/thermal/thermal_zone0/temp": "48312"}
)
_ENTER = Path(__file__).with_name("enter.sh")
_TRY = "mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc && test -w /proc/sys/fs/binfmt_misc/register"
NAMESPACES = ("unshare", "--user", "--map-root-user", "--mount")


class NoBoardError(Exception):
    """There can be no board here; the message says why."""


def lacking() -> str:
    """What is missing here to run the board; empty if nothing is."""
    if sys.platform != "linux":
        return "the board needs Linux"
    for program in ("mmdebstrap", "qemu-aarch64-static", "unshare"):
        if shutil.which(program) is None:
            return f"{program} not found: make boards installs it where Debian's packages can be installed"
    if not Path("/usr/lib/binfmt.d/qemu-aarch64.conf").is_file():
        return "Debian's description of the emulator, /usr/lib/binfmt.d/qemu-aarch64.conf, is not there"
    tried = _run([*NAMESPACES, "sh", "-c", _TRY], 60)
    return "" if tried.returncode == 0 else f"no emulator in a user namespace (Linux 6.7 or newer): {_last(tried)}"


def root() -> Path:
    """The folder that holds `root` and `facts`; made the first time, which takes a minute or two.

    Raises:
        NoBoardError: it cannot be made.
    """
    if why := lacking():
        raise NoBoardError(why)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mnas-test-board"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / _key()
    with (cache / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another worker may be making it
        if not folder.is_dir():
            making = folder.with_suffix(".part")
            shutil.rmtree(making, ignore_errors=True)
            _make(making)
            making.rename(folder)
    return folder


def session(folder: Path, tmp: Path) -> str:
    """The command that runs $SSH_ORIGINAL_COMMAND on the board, whose /tmp is `tmp`."""
    return " ".join([*NAMESPACES, "sh", *map(str, (_ENTER, folder / "root", folder / "facts", tmp))])


def _key() -> str:
    recipe = "\n".join([Path(__file__).read_text(), *_wheels()])
    return hashlib.sha256(recipe.encode()).hexdigest()[:16]


def _wheels() -> list[str]:
    return [f"{wheel}=={version(wheel)}" for wheel in WHEELS]


def _make(folder: Path) -> None:
    (folder / "facts").mkdir(parents=True)
    (folder / "facts" / "cpuinfo").write_text(CPUINFO)
    for name, text in SYS.items():
        file = folder / "facts" / "sys" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    packages = f"--include={','.join(PACKAGES)}"
    target = str(folder / "root")
    _must(["mmdebstrap", "--quiet", "--arch=arm64", "--variant=extract", packages, SUITE, target])
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    only = ["--only-binary=:all:", "--implementation", "cp", "--python-version", PYTHON, *platforms]
    _must([*pip, *only, "--target", str(folder / "root" / "opt" / "site"), *_wheels()])
    python = folder / "root" / "root" / "mnas" / "bin" / "python"  # as docs/boards.md makes it
    python.parent.mkdir(parents=True)
    python.symlink_to("/usr/bin/python3")


def _must(argv: list[str]) -> None:
    done = _run(argv, 600)
    if done.returncode != 0:
        raise NoBoardError(f"{argv[0]} could not make the board: {_last(done)}")


def _run(argv: list[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s, check=False
    )


def _last(done: subprocess.CompletedProcess[str]) -> str:
    return "".join(done.stderr.strip().splitlines()[-1:])
