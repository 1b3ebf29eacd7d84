"""Downloading a data set once, checked against known contents."""

from __future__ import annotations

from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from mnas.errors import DataError, UnknownNameError
from mnas.evaluate.data.idx import unpack
from mnas.evaluate.data.sources import data_home
from mnas.files import write_bytes
from mnas.progress import Progress

_CHUNK = 1 << 18
_TIMEOUT_S = 30.0


class Content(NamedTuple):
    """The SHA-256 and the size in bytes of a file once unpacked: how it was zipped does not matter."""

    sha256: str
    size: int


class Download(NamedTuple):
    """Where the files of a data set are offered, and what they must contain."""

    urls: tuple[str, ...]
    files: dict[str, Content]


DOWNLOADS = {
    "fashion-mnist": Download(
        (
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
        ),
        {
            "train-images-idx3-ubyte.gz": Content(
                "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888", 47_040_016
            ),
            "train-labels-idx1-ubyte.gz": Content(
                "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9", 60_008
            ),
            "t10k-images-idx3-ubyte.gz": Content(
                "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b", 7_840_016
            ),
            "t10k-labels-idx1-ubyte.gz": Content(
                "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34", 10_008
            ),
        },
    )
}


def fetch(
    name: str, *, url: str | None = None, folder: str | Path | None = None, progress: Progress | None = None
) -> Path:
    """Download a data set; files that are there and good are left alone, so a broken download goes on where it was.

    Args:
        name: "fashion-mnist".
        url: http(s) folder to take the files from, in place of the known ones.
        folder: where to put the files; `data_home()`/name if not given.
        progress: told bytes so far, bytes in all and the file.

    Returns:
        The folder of the files.

    Raises:
        UnknownNameError: no such download.
        DataError: no network, no such file, or content that is not the known one; nothing wrong is left behind.
    """
    if name not in DOWNLOADS:
        raise UnknownNameError("download", name, list(DOWNLOADS))
    target = Path(folder).expanduser() if folder is not None else data_home() / name
    urls = (url,) if url is not None else DOWNLOADS[name].urls
    for file, content in DOWNLOADS[name].files.items():
        if not _good(target / file, content):
            _save(target / file, _download(name, urls, file, content, progress))
    return target


def _good(path: Path, content: Content) -> bool:
    try:
        _check(path.read_bytes(), content)
    except (OSError, DataError):
        return False
    return True


def _check(data: bytes, content: Content) -> None:
    unpacked = unpack(data, content.size)
    found = sha256(unpacked).hexdigest()
    if found != content.sha256:
        raise DataError(f"holds {len(unpacked)} bytes with SHA-256 {found}, expected {content.sha256}")


def _save(path: Path, data: bytes) -> None:
    try:
        write_bytes(path, data)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from None


def _download(name: str, urls: tuple[str, ...], file: str, content: Content, progress: Progress | None) -> bytes:
    problems = []
    for url in urls:
        address = f"{url.rstrip('/')}/{file}"
        try:
            data = _read(address, content.size + _CHUNK, progress)
            _check(data, content)
        except DataError as error:
            problems.append(f"{address} {error}")
        else:
            return data
    raise DataError(
        f"could not fetch {name}:\n  " + "\n  ".join(problems) + "\nOther ways: apt-get install dataset-fashion-mnist "
        "(Debian, Ubuntu); --url with a mirror; --data FOLDER with files you have; or --data digits, which needs none"
    )


def _read(address: str, limit: int, progress: Progress | None) -> bytes:
    if urlsplit(address).scheme not in ("http", "https"):
        raise DataError("is not an http or https address")
    name, data = address.rsplit("/", 1)[-1], bytearray()
    try:
        with urlopen(address, timeout=_TIMEOUT_S) as response:  # noqa: S310 (the scheme is checked above)
            total = int(response.headers.get("Content-Length") or 0)
            while chunk := response.read(_CHUNK):
                data += chunk
                if len(data) > limit:
                    raise DataError(f"sends more than the {limit} bytes expected")
                if progress is not None:
                    progress(len(data), total, name)
    except HTTPError as error:
        raise DataError(f"is refused: {error}") from None
    except URLError as error:
        raise DataError(f"cannot be reached: {error.reason}") from None
    except (OSError, ValueError, HTTPException) as error:
        raise DataError(f"broke off: {error}") from None
    if total and len(data) != total:
        raise DataError(f"broke off after {len(data)} of {total} bytes")
    return bytes(data)
