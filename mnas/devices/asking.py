"""Asking a device many things with one command: a way to it may take a second, and an answer may be missing."""

from __future__ import annotations

from collections.abc import Mapping

from mnas.devices.transport import Transport

_MARK = "::mnas "


def ask(transport: Transport, questions: Mapping[str, str], timeout_s: float) -> dict[str, str]:
    """Run shell commands of ours on a device.

    Args:
        transport: the way there.
        questions: command by name; they go to a shell as they are.
        timeout_s: seconds for all of them.

    Returns:
        What each printed, by name; empty where it failed.

    Raises:
        DeviceError: the device does not answer.
    """
    script = "".join(f"echo; echo '{_MARK}{name}'; {command} 2>/dev/null\n" for name, command in questions.items())
    _, out, _ = transport.run(["sh", "-c", script], timeout_s)
    answers = dict.fromkeys(questions, "")
    for part in f"\n{out}".split(f"\n{_MARK}")[1:]:
        name, _, text = part.partition("\n")
        if name in answers:
            answers[name] = text.removesuffix("\n")
    return answers


def by_path(printed: str) -> dict[str, str]:
    """Texts of files by path, as `grep -H . FILES` prints them."""
    lines: dict[str, list[str]] = {}
    for line in printed.splitlines():
        path, _, text = line.partition(":")
        lines.setdefault(path, []).append(text)
    return {path: "\n".join(texts) for path, texts in lines.items()}
