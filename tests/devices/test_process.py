from __future__ import annotations

import signal
import tempfile

import pytest

from mnas.devices import process
from mnas.errors import DeviceError


def test_input_comes_from_a_file_or_from_nowhere() -> None:
    assert process.run(["cat"], 30, name="pi") == (0, "", "")
    with tempfile.TemporaryFile() as file:
        file.write(b"\xff\x00")
        file.seek(0)
        assert process.run_bytes(["cat"], 30, name="pi", program="cat", stdin=file) == (0, b"\xff\x00", b"")


def test_output_that_is_no_text_is_replaced() -> None:
    assert process.run(["printf", r"a\377"], 30, name="pi")[1] == "a\N{REPLACEMENT CHARACTER}"


def test_what_cannot_run_is_an_error_of_the_device() -> None:
    with pytest.raises(DeviceError, match="device 'pi' cannot run 'no-such': No such file"):
        process.run(["no-such"], 30, name="pi")
    with pytest.raises(DeviceError, match="device 'pi' cannot run 'echo': embedded null byte"):
        process.run(["echo", "\0"], 30, name="pi")
    with pytest.raises(DeviceError, match=r"device 'pi': 'the job' took more than 0.1 s"):
        process.run_bytes(["sleep", "60"], 0.1, name="pi", program="the job")


@pytest.mark.parametrize("code", [0, 1, 127, 128, 255, -9])
def test_other_codes_of_a_shell_stay(code: int) -> None:
    assert process.from_shell(code) == code


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGKILL, signal.SIGTERM])
def test_signals_that_a_shell_tells(number: int) -> None:
    assert process.from_shell(128 + number) == -number
