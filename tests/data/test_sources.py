"""Getting published data: verification, downloads from a server on 127.0.0.1, locks. No test leaves this machine.

The published set is replaced by a tiny one with its own digests; everything else is the real code.
"""

import dataclasses
import gzip
import hashlib
import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from fashion_softmax.data import sources
from fashion_softmax.data.idx import FILES, Published, find_idx_files
from fashion_softmax.errors import DataError

CONTENT = {role: f"content of {role} ".encode() * 50 for role in FILES}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> Published:
    digests = {role: hashlib.sha256(content).hexdigest() for role, content in CONTENT.items()}
    published = Published(("http://127.0.0.1:9/",), digests, ("a", "b"))
    monkeypatch.setattr(sources, "PUBLISHED", {"tiny": published})
    monkeypatch.setattr(sources, "MAX_BYTES", 2**12)
    monkeypatch.setattr(sources, "TIMEOUT_S", 0.3)
    return published


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves the four files, each spoilt as the test says."""

    bodies: dict[str, bytes] = {}
    requests: list[str] = []
    url = ""
    announce = 0  # bytes announced beyond the body
    hang_s = 0.0
    drip = b""  # sent instead, then a byte at a time
    is_endless = False  # the body, of which no length is announced
    redirects = False  # to itself

    def do_GET(self) -> None:
        type(self).requests.append(self.path)
        time.sleep(self.hang_s)
        if self.drip:
            self.wfile.write(self.drip)
            for _ in range(20):
                self.wfile.write(b"x")
                time.sleep(0.05)
        if self.redirects:
            self.send_response(302)
            self.send_header("Location", self.path)
            self.end_headers()
            return
        if self.is_endless:
            self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
            while True:  # until the other end has had enough, which is an error here
                self.wfile.write(bytes(2**16))
        body = self.bodies.get(self.path.rpartition("/")[2])
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body) + self.announce))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def server() -> Iterator[type[Handler]]:
    class Fresh(Handler):
        bodies = {f"{name}.gz": gzip.compress(CONTENT[role]) for role, name in FILES.items()}
        requests: list[str] = []

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *args: object) -> None:
            """A client that has had enough is no error."""

    instance = Server(("127.0.0.1", 0), Fresh)
    threading.Thread(target=instance.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    Fresh.url = f"http://127.0.0.1:{instance.server_port}/files/"
    yield Fresh
    instance.shutdown()
    instance.server_close()


def prepare(root: Path, mirror: str | None = None) -> dict[str, Path]:
    sources.prepare("tiny", root, mirror)
    return find_idx_files(root)


def contents(root: Path) -> set[str]:
    return {path.name for path in root.iterdir()} - {".lock", "verified.json"}


def place(root: Path, *, packed: bool = False) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for role, name in FILES.items():
        (root / (name + ".gz" * packed)).write_bytes(gzip.compress(CONTENT[role]) if packed else CONTENT[role])


def test_what_is_missing_is_downloaded_verified_and_unpacked(tmp_path: Path, server: type[Handler]) -> None:
    root = tmp_path / "d"
    root.mkdir()
    (root / ".train-images-idx3-ubyte.abc.tmp").write_bytes(b"half")  # a killed process left it
    files = prepare(root, server.url)
    assert {role: path.read_bytes() for role, path in files.items()} == CONTENT
    assert contents(root) == set(FILES.values())
    server.requests.clear()
    assert prepare(root, server.url) == files and server.requests == []
    files["test_labels"].unlink()
    assert prepare(root, server.url) == files
    assert server.requests == ["/files/t10k-labels-idx1-ubyte.gz"]


def test_gzipped_files_are_verified_by_their_content(tmp_path: Path) -> None:
    place(tmp_path, packed=True)
    files = prepare(tmp_path)
    assert {role: gzip.decompress(path.read_bytes()) for role, path in files.items()} == CONTENT
    for content in (gzip.compress(b"other"), gzip.compress(CONTENT["test_labels"])[:-20], b"not packed at all"):
        (tmp_path / "t10k-labels-idx1-ubyte.gz").write_bytes(content)
        with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte.gz: is corrupt: expected SHA-256"):
            prepare(tmp_path)


def test_verification_is_remembered_and_repeated_after_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(tmp_path)
    prepare(tmp_path)
    hashed: list[str] = []
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: hashed.append(path.name) or read(path))
    prepare(tmp_path)
    assert hashed == []
    flipped = bytearray(CONTENT["test_labels"])
    flipped[5] ^= 1
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(flipped)
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte: is corrupt: expected SHA-256 \w{64}, found \w{64}"):
        prepare(tmp_path)
    assert "t10k-labels-idx1-ubyte" in hashed


def test_corrupt_file_is_not_overwritten(tmp_path: Path, server: type[Handler]) -> None:
    place(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(b"mine")
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="train-labels-idx1-ubyte: is corrupt"):
        prepare(tmp_path, server.url)
    assert (tmp_path / "train-labels-idx1-ubyte").read_bytes() == b"mine" and server.requests == []


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ({"bodies": {}}, "HTTP 404"),
        ({"announce": 10}, "cut short|IncompleteRead"),
        ({"hang_s": 1.0}, "timed out"),
        ({"is_endless": True}, "larger than 4096 bytes"),
        ({"redirects": True}, "HTTP 302 .*infinite loop"),
        ({"html": b"<!DOCTYPE html><p>Sign in"}, r"expected SHA-256 \w{64}, found \w{64}.*no gzip file"),
        ({"html": gzip.compress(b"other")}, r"expected SHA-256 \w{64}, found \w{64} \(5 bytes"),
        ({"html": gzip.compress(CONTENT["test_images"])[:-9]}, "expected SHA-256"),
        ({"html": gzip.compress(b"0" * 2**20)}, "expected SHA-256"),
    ],
    ids=["404", "truncated", "hanging", "endless", "redirects", "html", "wrong bytes", "truncated gzip", "bomb"],
)
def test_bad_mirror_leaves_nothing_and_the_next_run_succeeds(
    tmp_path: Path, server: type[Handler], spoil: dict[str, object], message: str
) -> None:
    good = dict(server.bodies)
    if "html" in spoil:
        server.bodies = dict.fromkeys(good, spoil["html"])  # type: ignore[arg-type]
    for name in spoil.keys() - {"html"}:
        setattr(server, name, spoil[name])
    start = time.monotonic()
    with pytest.raises(DataError, match=message) as raised:
        prepare(tmp_path, server.url)
    assert time.monotonic() - start < 10
    assert all(name in str(raised.value) for name in FILES.values()) and str(tmp_path) in str(raised.value)
    assert contents(tmp_path) == set()
    assert len(server.requests) < 30
    server.bodies, server.announce, server.hang_s = good, 0, 0.0
    server.is_endless = server.redirects = False
    prepare(tmp_path, server.url)


@pytest.mark.parametrize(
    ("mirror", "reason"), [("http://127.0.0.1:9/", "Connection refused"), ("my mirror", "unknown url type")]
)
def test_mirror_that_cannot_be_reached_is_a_reason_not_a_wait(tmp_path: Path, mirror: str, reason: str) -> None:
    start = time.monotonic()
    with pytest.raises(DataError, match=reason):
        prepare(tmp_path, mirror)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("drip", [b"HTTP/1.0 200 OK\r\nX-Slow: ", b"HTTP/1.0 200 OK\r\nContent-Length: 30000\r\n\r\n"])
def test_server_that_sends_a_byte_at_a_time_is_given_up(
    tmp_path: Path, server: type[Handler], monkeypatch: pytest.MonkeyPatch, drip: bytes
) -> None:
    monkeypatch.setattr(sources, "GRACE_S", 0.3)
    monkeypatch.setattr(sources, "TIMEOUT_S", 5.0)
    server.drip = drip
    with pytest.raises(DataError, match=r"too slow \(\d bytes in 0 s"):
        prepare(tmp_path, server.url)


def test_lock_that_is_never_free_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "LOCK_TIMEOUT_S", 0.06)
    with FileLock(tmp_path / ".lock"), pytest.raises(DataError, match="another process has held the lock for 0 min"):
        prepare(tmp_path)


def test_debian_package_is_the_last_source(
    tmp_path: Path, server: type[Handler], tiny: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpack(package: str, folder: Path) -> str:
        place(folder / package, packed=True)
        return (folder / package).as_uri()

    monkeypatch.setattr(sources, "unpack_package", unpack)
    monkeypatch.setattr(sources, "PUBLISHED", {"tiny": dataclasses.replace(tiny, debian_package="the-package")})
    server.bodies = {name: body for name, body in server.bodies.items() if "train" in name}
    files = prepare(tmp_path / "d", server.url)
    assert {role: path.read_bytes() for role, path in files.items()} == CONTENT


def test_simultaneous_starts_download_once(tmp_path: Path, server: type[Handler]) -> None:
    server.hang_s = 0.05
    threads = [threading.Thread(target=prepare, args=(tmp_path, server.url)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.requests) == 4 and contents(tmp_path) == set(FILES.values())


def test_no_apt_get_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(sources.SourceError, match="no apt-get on this machine"):
        sources.unpack_package("dataset-fashion-mnist", tmp_path)


@pytest.mark.parametrize("name", ["cat/1.png", "notes.txt"])
def test_a_folder_that_holds_something_else_is_not_written_into(tmp_path: Path, name: str) -> None:
    path = tmp_path / "shapes" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    with pytest.raises(DataError, match=rf"shapes: holds '{name.partition('/')[0]}', so tiny is not written there"):
        prepare(tmp_path / "shapes")
    assert [each for each in (tmp_path / "shapes").rglob("*") if each.is_file()] == [path]


def test_a_root_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").write_bytes(b"mine")
    with pytest.raises(DataError, match=r"root: is a file; dataset.root has to be a folder"):
        prepare(tmp_path / "root")
