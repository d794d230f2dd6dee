"""Downloads against a server on this machine that does what networks do."""

import hashlib
import http.server
import threading
import time

import numpy as np
import pytest

from tlcourse.data import downloads
from tlcourse.data.downloads import DownloadError, download
from tlcourse.storage import StorageError

DATA = np.random.default_rng(1).bytes(300_000)
SHA = hashlib.sha256(DATA).hexdigest()
LOG_IN = b"\n<!DOCTYPE html><title>Welcome to the school's network</title>"


class Handler(http.server.BaseHTTPRequestHandler):
    """Announces `DATA` and sends `server.data`; with `server.silent` it then says nothing more."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked += 1
        if self.server.data is None:
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Length", str(len(DATA)))
        self.end_headers()
        self.wfile.write(self.server.data)
        time.sleep(1.0 if self.server.silent else 0.0)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    running.data, running.silent, running.asked = DATA, False, 0
    running.url = f"http://127.0.0.1:{running.server_port}/weights.bin"
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "folder" / "weights.bin"


@pytest.mark.parametrize("digits", [SHA, SHA[:8].upper()])
def test_the_whole_file_comes_and_then_needs_no_network(server, path, digits):
    assert download(server.url, path, digits, progress=False) == path
    assert download(server.url, path, digits, progress=False).read_bytes() == DATA
    assert server.asked == 1
    assert [file.name for file in path.parent.iterdir()] == ["weights.bin"]


def test_what_is_there_but_wrong_is_replaced_and_only_by_the_right_file(server, path):
    path.parent.mkdir(parents=True)
    path.write_bytes(b"an older file")
    server.data = None
    with pytest.raises(DownloadError, match=r"404.*The file that lies there is another one"):
        download(server.url, path, SHA, progress=False)
    assert path.read_bytes() == b"an older file"
    server.data = DATA
    assert download(server.url, path, SHA, progress=False).read_bytes() == DATA


@pytest.mark.parametrize(
    ("data", "silent", "message"),
    [
        (DATA[::-1], False, rf"not the file, perhaps .* log-in page.*{SHA}"),
        (LOG_IN, False, "not the file"),
        (DATA[:100_000], False, "not the file, perhaps a part of it"),
        (DATA[:100_000], True, "the server was silent for 0.15 seconds"),
        (None, False, "HTTP Error 404: Not Found"),
    ],
)
def test_nothing_wrong_or_half_written_lies_under_the_name(server, path, monkeypatch, data, silent, message):
    monkeypatch.setattr(downloads, "SILENCE", 0.15)
    server.data, server.silent = data, silent
    with pytest.raises(DownloadError, match=message):
        download(server.url, path, SHA, progress=False)
    assert list(path.parent.iterdir()) == []


def test_a_folder_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").write_text("this is not a folder")
    with pytest.raises(DownloadError, match="could not download"):
        download(server.url, tmp_path / "file" / "weights.bin", SHA, progress=False)
    assert not server.asked


def test_without_network_the_error_says_what_to_do(path):
    with pytest.raises(DownloadError) as caught:
        download("https://example.org/a.bin", path, SHA, progress=False, meanwhile="Meanwhile, use 'printed'.")
    text = str(caught.value)
    for part in ("https://example.org/a.bin", "unplugged", str(path), "by hand", "HTTPS_PROXY"):
        assert part in text
    assert text.endswith("Meanwhile, use 'printed'.")
    assert isinstance(caught.value, StorageError)
