"""A real OpenSSH server of the tests' own, on loopback, and an `ssh` command that knows it and nothing else."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

_START_S = 20.0


def lacking() -> str:
    """What is missing here to run a server; empty if nothing is."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    missing = [program for program in ("ssh", "sshd", "ssh-keygen") if shutil.which(program, path=path) is None]
    return f"{' and '.join(missing)} not found: make boards installs what Debian has" if missing else ""


class Sshd:
    """A server that lets one key in as the user who runs the tests.

    Args:
        folder: for its keys, configuration and log; and for `bin/ssh`, which is to come first in PATH.
        force: a shell command that every session runs instead of its own, which is in $SSH_ORIGINAL_COMMAND.
        name: what the `ssh` here knows it by; several names are parted by blanks.
    """

    def __init__(self, folder: Path, *, force: str = "", name: str = "board") -> None:
        self.folder, self.name = folder, name
        self._force = force
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        for key in ("host_key", "user_key"):
            self.make_key(key)
        self.port = _free_port()
        self._configure()

    def make_key(self, name: str) -> None:
        """Make a key pair in the folder; one that is there is replaced."""
        for file in (name, f"{name}.pub"):
            (self.folder / file).unlink(missing_ok=True)
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "mnas-test", "-f", str(self.folder / name)],
            check=True, stdin=subprocess.DEVNULL, timeout=60,
        )  # fmt: skip

    def start(self) -> None:
        """Serve; returns when connections are taken."""
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # its privilege separation wants it
        program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
        assert program
        argv = [program, "-D", "-f", str(self.folder / "sshd_config"), "-E", str(self.folder / "sshd.log")]
        self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True)
        give_up = time.monotonic() + _START_S
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            if self._process.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"sshd did not start: {(self.folder / 'sshd.log').read_text()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End the server with all its sessions, as a power cut does."""
        if self._process is None:
            return
        everything = [pid for pid, _ in self._descendants()]
        for pid in (self._process.pid, *everything):
            _kill(pid)
        self._process.wait()
        self._process = None

    def drop(self) -> None:
        """End every connection, but no command."""
        for pid in self.sessions():
            _kill(pid)

    def sessions(self) -> list[int]:
        """Processes that serve connections."""
        return [pid for pid, program in self._descendants() if program.startswith("sshd")]

    def _descendants(self) -> list[tuple[int, str]]:
        """Number and program of every process that stems from the server."""
        assert self._process is not None
        parents: dict[int, tuple[int, str]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                head, _, tail = stat.read_text().rpartition(")")
                parents[int(stat.parent.name)] = (int(tail.split()[1]), head.partition("(")[2])
        found = {self._process.pid}
        while fresh := {pid for pid, (parent, _) in parents.items() if parent in found} - found:
            found |= fresh
        return [(pid, parents[pid][1]) for pid in found - {self._process.pid}]

    def trust(self, host_key: str = "host_key") -> None:
        """Know the server by this key of the folder."""
        kind, key, *_ = (self.folder / f"{host_key}.pub").read_text().split()
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")

    def _configure(self) -> None:
        shutil.copyfile(self.folder / "user_key.pub", self.folder / "authorized_keys")
        self.trust()
        force = f"ForceCommand {self._force}\n" if self._force else ""
        (self.folder / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.folder}/host_key\nPidFile none\n"
            f"AuthorizedKeysFile {self.folder}/authorized_keys\nStrictModes no\nUsePAM no\nPrintMotd no\n"
            f"PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n{force}"
        )
        (self.folder / "ssh_config").write_text(
            f"Host {self.name}\n  HostName 127.0.0.1\n  Port {self.port}\n"
            f"Host *\n  User {pwd.getpwuid(os.getuid()).pw_name}\n"
            f"  IdentityFile {self.folder}/user_key\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {self.folder}/known_hosts\n  GlobalKnownHostsFile /dev/null\n"
        )
        program = self.folder / "bin" / "ssh"
        program.parent.mkdir(exist_ok=True)
        config = shlex.quote(str(self.folder / "ssh_config"))
        program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {config} "$@"\n')
        program.chmod(0o755)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
