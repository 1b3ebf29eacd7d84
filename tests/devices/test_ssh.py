"""The ssh transport against a real OpenSSH server of the tests' own on this host."""

from __future__ import annotations

import gc
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mnas.devices import Device, Transport, connect
from mnas.errors import ConfigError, DeviceError
from tests.boards.sshd import Sshd, lacking
from tests.devices.processes import ends, until

pytestmark = pytest.mark.skipif(bool(lacking()), reason=lacking())
BOARD = Device("pi", "ssh", "board")
NASTY = [
    "",
    " ",
    "-n",
    "--",
    "a b",
    "'",
    '"',
    "\\",
    "$HOME",
    "`id`",
    "$(id)",
    ";ls",
    "*",
    "!x",
    "a\nb",
    "é",
    "~",
    "&",
    "|",
]
Start = Callable[..., Sshd]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start a server that `ssh` reaches as `board`."""
    started: list[Sshd] = []

    def begin(force: str = "") -> Sshd:
        server = Sshd(tmp_path / f"sshd{len(started)}", force=force)
        monkeypatch.setenv("PATH", f"{server.folder / 'bin'}:{os.environ['PATH']}")
        started.append(server)
        server.start()
        return server

    yield begin
    for server in started:
        server.stop()


@pytest.fixture
def pi(start: Start) -> Transport:
    start()
    return connect(BOARD)


def test_arguments_arrive_as_they_are(pi: Transport) -> None:
    show = "import json, sys; print(json.dumps(sys.argv[1:]))"
    code, out, err = pi.run([sys.executable, "-X", "utf8", "-c", show, *NASTY], 60)
    assert (code, json.loads(out), err) == (0, NASTY, "")


def test_output_errors_and_codes_are_told_apart(pi: Transport) -> None:
    assert pi.run(["sh", "-c", "echo out; printf err >&2; exit 7"], 60) == (7, "out\n", "err")
    assert pi.run(["sh", "-c", "wc -c; exit 255"], 60) == (255, "0\n", "")
    for name in ("TERM", "SEGV", "KILL", "ABRT"):
        code, _, _ = pi.run(["sh", "-c", f"kill -{name} $$"], 60)
        assert code == -signal.Signals[f"SIG{name}"]


@pytest.mark.parametrize("name", ["plain", " a'\"b", "-n", "$(id)\n;*", "ü"])
def test_files_arrive_whole(pi: Transport, tmp_path: Path, name: str) -> None:
    there, here = tmp_path / name / "there", tmp_path / "here"
    there.mkdir(parents=True)
    for content in (b"", b"\x00\xff\n" * 700_000):
        here.write_bytes(content)
        pi.push(here, str(there / name))
        assert (there / name).read_bytes() == content
        pi.pull(str(there / name), tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == content


def test_many_files_go_in_one_transfer(pi: Transport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "there"
    there.mkdir()
    names = [f"{i}.tflite" for i in range(300)]
    for i, name in enumerate(names):
        (tmp_path / name).write_bytes(bytes([i % 256]) * i)
    calls: list[object] = []
    popen = subprocess.Popen

    def counted(argv: list[str], **settings: object) -> subprocess.Popen[bytes]:
        calls.append(argv)
        return popen(argv, **settings)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(subprocess, "Popen", counted)
    pi.push_all({f"x{name}": tmp_path / name for name in names}, str(there))
    pi.push_all({}, str(there))
    assert len(calls) == 1
    assert {file.name: file.stat().st_size for file in there.iterdir()} == {f"x{n}": i for i, n in enumerate(names)}


def test_what_cannot_be_copied_is_named(pi: Transport, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    with pytest.raises(DeviceError, match=r"'pi' cannot write into /no/such: .*can't cd"):
        pi.push(tmp_path / "a", "/no/such/a")
    with pytest.raises(DeviceError, match=r"'pi': cannot send .*gone: No such file"):
        pi.push(tmp_path / "gone", str(tmp_path / "b"))
    with pytest.raises(DeviceError, match=r"'pi' cannot read /no/such: .*No such file"):
        pi.pull("/no/such", tmp_path / "b")
    with pytest.raises(DeviceError, match=r"'pi': cannot write .*no/b: No such file"):
        pi.pull(str(tmp_path / "a"), tmp_path / "no" / "b")


def test_what_start_up_files_print_is_no_output(start: Start, tmp_path: Path) -> None:
    start('echo noise; printf more; echo noise >&2; eval "$SSH_ORIGINAL_COMMAND"')
    pi = connect(BOARD)
    assert pi.run(["sh", "-c", "echo out; echo err >&2"], 60) == (0, "out\n", "err\n")
    (tmp_path / "a").write_bytes(b"a")
    pi.push(tmp_path / "a", str(tmp_path / "b"))
    pi.pull(str(tmp_path / "b"), tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == b"a"


def test_a_missing_program_is_named(pi: Transport) -> None:
    with pytest.raises(DeviceError, match="'pi' has no program 'python9': install it there"):
        pi.run(["python9", "-c", "1"], 60)


def test_time_out_kills_the_command_there(pi: Transport, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="'pi': 'sh' took more than 3 s"):
        pi.run(["sh", "-c", f"sleep 60 & echo $! $$ >{tmp_path}/pids; wait"], 3)
    assert all(ends(int(pid)) for pid in (tmp_path / "pids").read_text().split())
    assert pi.run(["echo", "again"], 60) == (0, "again\n", "")


def test_nothing_is_left_there_when_this_process_is_killed(start: Start, tmp_path: Path) -> None:
    start()
    program = "from mnas.devices import Device, connect\n"
    program += f"connect(Device('pi', 'ssh', 'board')).run(['sh', '-c', 'echo $$ >{tmp_path}/pid; sleep 60'], 60)"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.DEVNULL) as process:
        until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        process.kill()
    assert ends(int((tmp_path / "pid").read_text()))


def test_a_dropped_connection_is_told_and_nothing_is_left_there(start: Start, tmp_path: Path) -> None:
    server = start()
    pi = connect(BOARD)

    def drop_later() -> None:
        until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        server.drop()

    waiting = threading.Thread(target=drop_later)
    waiting.start()
    with pytest.raises(DeviceError, match=r"'pi': the connection dropped while 'sh' ran .* run the same command again"):
        pi.run(["sh", "-c", f"echo $$ >{tmp_path}/pid; sleep 60"], 60)
    waiting.join()
    assert ends(int((tmp_path / "pid").read_text()))
    assert pi.run(["echo", "again"], 60) == (0, "again\n", "")


def test_a_reboot_is_told_and_survived(start: Start, tmp_path: Path) -> None:
    server = start()
    pi = connect(BOARD)
    pi.run(["true"], 60)
    server.stop()
    with pytest.raises(DeviceError, match="'pi': it answers, but no sshd does: start sshd there"):
        pi.run(["true"], 60)
    server.start()
    assert pi.run(["echo", "up"], 60) == (0, "up\n", "")


@pytest.mark.parametrize("cut", [0, 1_000, 70_000])
def test_a_connection_that_drops_in_a_transfer_is_told(start: Start, tmp_path: Path, cut: int) -> None:
    """The server lets through so many bytes, then the session dies."""
    (tmp_path / "a").write_bytes(b"a" * 200_000)
    start(f'head -c {cut} | sh -c "$SSH_ORIGINAL_COMMAND"; kill -9 $PPID')
    with pytest.raises(DeviceError, match=r"'pi'.*(connection|cannot write into)"):
        connect(BOARD).push(tmp_path / "a", str(tmp_path / "b"))
    start(f'sh -c "$SSH_ORIGINAL_COMMAND" | head -c {cut}; kill -9 $PPID')
    with pytest.raises(DeviceError, match=r"'pi'.*connection"):
        connect(BOARD).pull(str(tmp_path / "a"), tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_a_full_disk_is_told(start: Start, tmp_path: Path) -> None:
    small = 'mount -t tmpfs -o size=100k none /mnt && exec sh -c "$SSH_ORIGINAL_COMMAND"'
    space = ["unshare", "--user", "--map-root-user", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*space, "true"], check=False).returncode:
        pytest.skip("no user namespaces here")
    start(f"{' '.join(space)} sh -c '{small}'")
    (tmp_path / "a").write_bytes(b"a" * 200_000)
    with pytest.raises(
        DeviceError, match=r"'pi' cannot write into /mnt: no space left; free some, or name another fold"
    ):
        connect(BOARD).push(tmp_path / "a", "/mnt/a")


def test_refused_keys_and_hosts_say_what_to_do(start: Start) -> None:
    server = start()
    server.make_key("user_key")
    with pytest.raises(DeviceError, match=r"'pi': it refuses the key: .*ssh-copy-id.*ssh board"):
        connect(BOARD).run(["true"], 60)
    (server.folder / "known_hosts").write_text("")
    with pytest.raises(DeviceError, match="'pi': its host key is not known: compare and accept it once, with: ssh boa"):
        connect(BOARD).run(["true"], 60)
    server.make_key("other_key")
    server.trust("other_key")
    with pytest.raises(DeviceError, match=r"'pi': its host key has changed: .*ssh-keygen -R"):
        connect(BOARD).run(["true"], 60)


def test_hosts_that_are_not_there_say_what_to_do(start: Start) -> None:
    server = start()
    server.stop()
    with pytest.raises(DeviceError, match=r"'pi': it answers, but no sshd does: start sshd there, or correct the port"):
        connect(Device("pi", "ssh", f"127.0.0.1:{server.port}")).run(["true"], 60)
    with pytest.raises(DeviceError, match=r"'pi': its host is unknown: correct its address"):
        connect(Device("pi", "ssh", "me@no-such-host.invalid")).run(["true"], 60)


def test_addresses_name_user_and_port(start: Start) -> None:
    server = start()
    user = pwd.getpwuid(os.getuid()).pw_name
    assert connect(Device("pi", "ssh", f"{user}@127.0.0.1:{server.port}")).run(["echo", "x"], 60) == (0, "x\n", "")


@pytest.mark.parametrize(
    "address", ["", "a b", "pi:ssh", "pi:22:22", "me@", "@pi", "ssh://pi", "[::1", "a;b", "$(id)@pi", "p`i"]
)
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(ConfigError, match=r"'pi': address must be USER@HOST"):
        connect(Device("pi", "ssh", address))


def test_no_ssh_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeviceError, match="'pi' is reached by ssh, which is not installed here"):
        connect(BOARD)


def test_a_transport_leaves_nothing_behind(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    server = start()
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        pi = connect(BOARD)
        pi.run(["true"], 60)
        assert len(list(Path(folder).iterdir())) == 1
        del pi
        gc.collect()
        assert not list(Path(folder).iterdir())
    until(lambda: not server.sessions())
