"""Downloads against a server on this machine that plays every kind of network."""

import hashlib
import http.server
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from tlcourse.data import resuming
from tlcourse.data.downloads import DownloadError, download
from tlcourse.storage import StorageError

DATA = np.random.default_rng(1).bytes(300_000)
OTHER = np.random.default_rng(2).bytes(300_000)
SHA = hashlib.sha256(DATA).hexdigest()
MD5 = hashlib.md5(DATA).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `server.data`; what goes wrong is said by `server.plan`, one entry a request, the last one for good."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        server.asked.append((self.path, self.headers.get("Range"), self.headers.get("If-Range")))
        play = server.plan.pop(0) if len(server.plan) > 1 else server.plan[0]
        self.close_connection = True
        if isinstance(play, int):
            self.send_error(play)
        elif play.startswith("to "):
            self.send_response(302)
            self.send_header("Location", play[3:])
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.serve(play)

    def serve(self, play):
        server, data, asked = self.server, self.server.data, self.headers.get("Range")
        same = self.headers.get("If-Range") in (None, server.etag, server.date)
        start = int(asked[6:-1]) if asked and same and not server.deaf else 0
        if start >= len(data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(data)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        for name, value in (("ETag", server.etag), ("Last-Modified", server.date)):
            if value:
                self.send_header(name, value)
        if server.announces:
            self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        self.send_body(play, data[start:])

    def send_body(self, play, body):
        try:
            if play.startswith("cut "):
                body = body[: int(play[4:])]
            if play.startswith("silent "):
                self.wfile.write(body[: int(play[7:])])
                self.wfile.flush()
                time.sleep(1.0)
            elif play == "slow":
                for begin in range(0, len(body), 60_000):
                    self.wfile.write(body[begin : begin + 60_000])
                    self.wfile.flush()
                    time.sleep(0.05)
            else:
                self.wfile.write(body)
        except OSError:
            pass  # the client went away


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(resuming, "PAUSE", 0.0)
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    running.data, running.plan, running.asked = DATA, ["whole"], []
    running.etag, running.date, running.deaf, running.announces = '"one"', None, False, True
    running.url = f"http://127.0.0.1:{running.server_port}/weights.bin"
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def get(server, path, **options):
    return download(server.url, path, progress=False, **({"sha256": SHA} | options))


def left(path):
    return sorted(file.name for file in path.parent.iterdir() if not file.name.endswith(".lock"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "folder" / "weights.bin"


@pytest.mark.parametrize(
    "hashes", [{"sha256": SHA}, {"sha256": SHA[:8].upper()}, {"md5": MD5, "sha256": None}, {"sha256": None}]
)
def test_the_whole_file_comes_and_then_needs_no_network(server, path, hashes):
    assert get(server, path, **hashes) == path
    server.plan = [500]
    assert get(server, path, **hashes).read_bytes() == DATA
    assert left(path) == ["weights.bin"]
    assert len(server.asked) == 1


def test_what_is_there_but_wrong_is_replaced_and_only_by_the_right_file(server, path):
    path.parent.mkdir(parents=True)
    path.write_bytes(b"an older file")
    server.plan = [404]
    with pytest.raises(DownloadError):
        get(server, path)
    assert path.read_bytes() == b"an older file"
    server.plan = ["whole"]
    assert get(server, path).read_bytes() == DATA


@pytest.mark.parametrize(
    ("plan", "begins"),
    [
        (["cut 100000", "cut 50000", "whole"], ["bytes=100000-", "bytes=150000-"]),
        (["silent 100000", "whole"], ["bytes=100000-"]),
        (["to /elsewhere.bin", "cut 100000", "to /elsewhere.bin", "whole"], [None, "bytes=100000-", "bytes=100000-"]),
        ([503, 429, "whole"], [None, None]),  # a busy server is asked again
    ],
)
def test_a_broken_connection_is_continued(server, path, monkeypatch, plan, begins):
    monkeypatch.setattr(resuming, "TIMEOUT", 0.15)
    server.plan = plan
    assert get(server, path).read_bytes() == DATA
    assert [begin for _, begin, _ in server.asked] == [None, *begins]
    assert all(version == '"one"' for _, begin, version in server.asked if begin)


def test_a_later_call_continues_an_earlier_one(server, path):
    server.plan = ["cut 100000", 503, 503, 503]
    with pytest.raises(DownloadError, match=r"100,000 bytes came and are kept: the next call continues there"):
        get(server, path)
    assert left(path) == ["weights.bin.part", "weights.bin.part.version"], "nothing may lie under the file's own name"
    server.plan = ["whole"]
    assert get(server, path).read_bytes() == DATA
    assert server.asked[-1][1] == "bytes=100000-"
    assert left(path) == ["weights.bin"]


def test_another_version_on_the_server_is_never_mixed_in(server, path):
    server.plan = ["cut 100000", 503, 503, 503]
    with pytest.raises(DownloadError):
        get(server, path, sha256=None)
    server.plan, server.data, server.etag = ["whole"], OTHER, '"two"'
    assert get(server, path, sha256=None).read_bytes() == OTHER


def test_a_server_that_ignores_the_version_is_found_out(server, path):
    server.plan = ["cut 100000", 503, 503, 503]
    with pytest.raises(DownloadError):
        get(server, path, sha256=None)
    mark = path.with_name("weights.bin.part.version")
    mark.write_text('"an older one"')
    server.date = '"an older one"'  # so the server sends the rest although its file is another one now
    server.plan, server.data = ["whole"], OTHER
    assert get(server, path, sha256=None).read_bytes() == OTHER


@pytest.mark.parametrize(("hashed", "begin"), [(SHA, "bytes=100000-"), (None, None)])
def test_without_a_version_only_a_hash_allows_to_continue(server, path, hashed, begin):
    server.etag, server.plan = None, ["cut 100000", "whole"]
    assert get(server, path, sha256=hashed).read_bytes() == DATA
    assert server.asked[-1][1] == begin


def test_what_was_continued_and_proves_wrong_is_fetched_anew(server, path):
    path.parent.mkdir(parents=True)
    path.with_name("weights.bin.part").write_bytes(OTHER[:100_000])
    server.etag = None
    assert get(server, path).read_bytes() == DATA
    assert [a for _, a, _ in server.asked] == ["bytes=100000-", None]


@pytest.mark.parametrize(
    ("plan", "requests", "message"),
    [
        (["cut 100000"], 4, r"broke off after 100,000 of 300,000 bytes \(tried 3 times\)"),
        (["silent 0"], 3, r"silent for 0.15 seconds \(tried 3 times\)"),
        (["to /weights.bin"], None, "answered 302"),
        ([404], 1, "the server answered 404 Not Found"),
    ],
)
def test_what_does_not_get_better_ends(server, path, monkeypatch, plan, requests, message):
    monkeypatch.setattr(resuming, "TIMEOUT", 0.15)
    server.deaf, server.plan = True, plan  # it cannot continue, and sends everything again
    with pytest.raises(DownloadError, match=message):
        get(server, path)
    assert requests in (None, len(server.asked))


def test_a_disk_that_cannot_be_written_is_not_tried_again(server, path, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("this is not a folder")
    with pytest.raises(DownloadError, match=r"file cannot be written"):
        get(server, tmp_path / "file" / "weights.bin")
    monkeypatch.setattr(resuming.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(DownloadError, match=r"300,000 bytes are missing, and the disk has less free space"):
        get(server, path)
    assert len(server.asked) == 1


LOG_IN = b"\n<!DOCTYPE html><title>Welcome to the school's network</title>"


@pytest.mark.parametrize("announces", [True, False])
@pytest.mark.parametrize(
    ("data", "hashes", "message"),
    [
        (OTHER, {"sha256": SHA}, rf"300,000 bytes came, .* not the file: the SHA-256 is .*{SHA[:16]}"),
        (DATA[:1000], {"sha256": SHA}, r"1,000 bytes came, but they are not the file"),
        (LOG_IN, {"sha256": None, "md5": MD5}, "a web page, perhaps the log-in page of a network: the MD5 is"),
    ],
)
def test_wrong_bytes_never_lie_under_the_name(server, path, announces, data, hashes, message):
    server.data, server.announces = data, announces
    with pytest.raises(DownloadError, match=message):
        get(server, path, **hashes)
    assert left(path) == []


def test_a_safe_address_may_not_lead_to_an_unsafe_one_unless_a_hash_would_tell():
    with pytest.raises(resuming.TransferError, match=r"leads to http://a/b, which is not safe"):
        resuming._refuse_unsafe("https://a/b", "http://a/b", verified=False)
    resuming._refuse_unsafe("https://a/b", "http://a/b", verified=True)
    resuming._refuse_unsafe("https://a/b", "https://c/b", verified=False)


def test_without_network_the_error_says_what_to_do(path, monkeypatch):
    monkeypatch.setattr(resuming, "PAUSE", 0.0)
    with pytest.raises(DownloadError) as caught:
        download("https://example.org/a.bin", path, progress=False, meanwhile="Meanwhile, use 'printed'.")
    text = str(caught.value)
    for part in ("https://example.org/a.bin", "unplugged", "tried 3 times", str(path), "by hand", "HTTPS_PROXY"):
        assert part in text
    assert text.endswith("Meanwhile, use 'printed'.")
    assert isinstance(caught.value, StorageError)


PROGRAM = """
import sys
from tlcourse.data.downloads import download
download(sys.argv[1], sys.argv[2], sha256=sys.argv[3], progress=False)
"""


def test_two_programs_at_once_fetch_it_once(server, path, environment):
    server.plan = ["slow"]
    command = [sys.executable, "-B", "-c", PROGRAM, server.url, str(path), SHA]
    run = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    while not server.asked and run.poll() is None:
        time.sleep(0.005)
    get(server, path)  # the other program is in the middle of it
    errors = run.communicate()[1]
    assert run.returncode == 0, errors
    assert len(server.asked) == 1
    assert path.read_bytes() == DATA
    assert left(path) == ["weights.bin"]


def test_a_program_that_is_killed_leaves_nothing_half_written_and_is_continued(server, path, environment):
    server.plan = ["silent 100000", "whole"]
    run = subprocess.Popen([sys.executable, "-B", "-c", PROGRAM, server.url, str(path), SHA], env=environment)
    part = path.with_name("weights.bin.part")
    deadline = time.time() + 30
    while not server.asked and time.time() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)
    run.kill()
    run.wait()
    assert left(path) == ["weights.bin.part", "weights.bin.part.version"]
    have = part.stat().st_size
    assert get(server, path).read_bytes() == DATA
    assert server.asked[-1][1] == (f"bytes={have}-" if have else None)


@pytest.mark.parametrize("more", [b"", b"more"])
def test_a_finished_part_is_taken_and_too_much_is_thrown_away(server, path, more):
    path.parent.mkdir(parents=True)
    path.with_name("weights.bin.part").write_bytes(DATA + more)
    assert get(server, path).read_bytes() == DATA
    assert left(path) == ["weights.bin"]


@pytest.mark.parametrize(
    ("url", "hashes", "message"),
    [
        ("https://example.org/a", {"sha256": "abc"}, "sha256 is 'abc', but 8 to 64 hexadecimal digits"),
        ("https://example.org/a", {"sha256": "x" * 64}, "hexadecimal digits"),
        ("https://example.org/a", {"md5": "12345678"}, "md5 is '12345678', but 32 hexadecimal digits"),
        ("file:///etc/passwd", {}, "cannot be downloaded: an address that begins with https://"),
        ("weights.bin", {}, "cannot be downloaded: an address that begins with https://"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_happens(path, url, hashes, message):
    with pytest.raises(ValueError, match=message):
        download(url, path, **hashes)
    assert not path.parent.exists()
