from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mnas.errors import DataError, UnknownNameError
from mnas.evaluate.data import downloads, fetch
from mnas.evaluate.data.downloads import DOWNLOADS, Content, Download

CONTENTS = {"a.gz": b"alpha" * 1000, "b.gz": b"beta" * 1000}


class Site:
    """A server on this host: what it serves, and what it was asked for."""

    def __init__(self) -> None:
        self.files = {name: gzip.compress(content, mtime=0) for name, content in CONTENTS.items()}
        self.asked: list[str] = []
        self.promised = 0
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.removeprefix("/")
                site.asked.append(name)
                if name not in site.files:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(site.files[name]) + site.promised))
                self.end_headers()
                self.wfile.write(site.files[name])

            def log_message(self, *args: object) -> None:
                """Be quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    served = Site()
    files = {name: Content(sha256(content).hexdigest(), len(content)) for name, content in CONTENTS.items()}
    monkeypatch.setitem(downloads.DOWNLOADS, "letters", Download((served.url,), files))
    yield served
    served.close()


def test_files_arrive_once(site: Site, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    folder = fetch("letters", folder=tmp_path / "new", progress=lambda *report: told.append(report))
    assert folder == tmp_path / "new"
    assert {path.name: gzip.decompress(path.read_bytes()) for path in folder.iterdir()} == CONTENTS
    assert told[-1] == (len(site.files["b.gz"]), len(site.files["b.gz"]), "b.gz")
    fetch("letters", folder=folder)
    assert site.asked == ["a.gz", "b.gz"]


def test_what_is_bad_is_fetched_again(site: Site, tmp_path: Path) -> None:
    fetch("letters", folder=tmp_path)
    (tmp_path / "b.gz").write_bytes(site.files["b.gz"][:20])
    fetch("letters", folder=tmp_path)
    assert site.asked == ["a.gz", "b.gz", "b.gz"]
    assert gzip.decompress((tmp_path / "b.gz").read_bytes()) == CONTENTS["b.gz"]


def test_how_a_mirror_zips_does_not_matter(site: Site, tmp_path: Path) -> None:
    site.files = {"a.gz": gzip.compress(CONTENTS["a.gz"], 1, mtime=0), "b.gz": CONTENTS["b.gz"]}
    fetch("letters", folder=tmp_path)
    assert (tmp_path / "b.gz").read_bytes() == CONTENTS["b.gz"]


def test_the_default_folder_is_where_data_sets_are_sought(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MNAS_DATA", str(tmp_path))
    assert fetch("letters") == tmp_path / "letters"


@pytest.mark.parametrize(
    ("served", "message"),
    [
        (gzip.compress(b"alphA" * 1000, mtime=0), "SHA-256"),
        (gzip.compress(CONTENTS["a.gz"], mtime=0)[:-9], "cut short"),
        (gzip.compress(bytes(1 << 22), mtime=0), "unpacks to more than the 5000 bytes"),
        (bytes(1 << 20), "sends more than"),
        (b"<html>", "SHA-256"),
        (None, "404"),
    ],
)
def test_wrong_content_is_refused_and_not_kept(site: Site, tmp_path: Path, served: bytes | None, message: str) -> None:
    site.files = {} if served is None else {"a.gz": served}
    with pytest.raises(DataError, match=message) as caught:
        fetch("letters", folder=tmp_path)
    assert "apt-get install dataset-fashion-mnist" in str(caught.value)
    assert site.url in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_transfer_keeps_the_files_before_it(site: Site, tmp_path: Path) -> None:
    good = site.files.pop("b.gz")
    with pytest.raises(DataError, match="404"):
        fetch("letters", folder=tmp_path)
    site.files["b.gz"], site.promised = good, 10
    with pytest.raises(DataError, match="broke off"):
        fetch("letters", folder=tmp_path)
    site.promised = 0
    fetch("letters", folder=tmp_path)
    assert site.asked.count("a.gz") == 1


def test_a_second_mirror_is_tried(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = DOWNLOADS["letters"]
    monkeypatch.setitem(downloads.DOWNLOADS, "letters", known._replace(urls=(site.url + "gone", site.url)))
    fetch("letters", folder=tmp_path)
    assert site.asked == ["gone/a.gz", "a.gz", "gone/b.gz", "b.gz"]


def test_no_network_is_explained(site: Site, tmp_path: Path) -> None:
    site.close()
    with pytest.raises(DataError, match="cannot be reached"):
        fetch("letters", folder=tmp_path)


def test_only_http_and_known_names(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not an http or https address"):
        fetch("fashion-mnist", url="file:///etc", folder=tmp_path)
    with pytest.raises(UnknownNameError, match="fashion-mnist"):
        fetch("imagenet")


def test_an_unwritable_folder_is_explained(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="cannot write"):
        fetch("letters", folder=tmp_path / "file" / "below")


def test_the_known_files_are_those_of_debian() -> None:
    folder = Path("/usr/share/datasets/fashion-mnist")
    if not folder.is_dir():
        pytest.skip("dataset-fashion-mnist is not installed")
    for name, content in DOWNLOADS["fashion-mnist"].files.items():
        assert downloads._good(folder / name, content)
