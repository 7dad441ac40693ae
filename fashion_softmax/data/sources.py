"""Getting a published data set: find its files and verify them, else fetch and verify them; every wait is bounded.

A file is verified by its SHA-256. That is remembered in `verified.json` beside the files, together with size and
modification time, and is done again when one of these changes. Nothing is used that is not verified.
"""

import contextlib
import functools
import gzip
import hashlib
import io
import logging
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from fashion_softmax.data.idx import BAD_GZIP, FILES, PUBLISHED, Published, find_idx_files
from fashion_softmax.errors import DataError
from fashion_softmax.files import read_json, remove_temporary_files, to_json, write_atomically

log = logging.getLogger(__name__)

TIMEOUT_S = 10.0  # for a connection, and for each read
GRACE_S = 15.0  # for a transfer, beside the time that the slowest rate takes
MIN_BYTES_PER_S = 10_000
MAX_BYTES = 64 * 2**20  # the largest published file has 47 MB unpacked
APT_TIMEOUT_S = 180.0  # for each of its two commands
LOCK_TIMEOUT_S = 900.0  # longer than the slowest download that is still accepted


class SourceError(Exception):
    """A file, a server or a package is of no use; the message gives the reason."""


def prepare(name: str, root: Path, mirror: str | None = None) -> None:
    """Make the four files of a published data set available and verified.

    Args:
        name: a key of `PUBLISHED`.
        root: folder of the files; created when something has to be fetched.
        mirror: URL to download from instead of the known mirrors.

    Raises:
        DataError: a file is corrupt, or no source delivers; the message lists the sources and their reasons.
    """
    published = PUBLISHED[name]
    if len(found := find_idx_files(root)) < len(FILES):
        if root.exists() and not root.is_dir():
            raise DataError(f"{root}: is a file; dataset.root has to be a folder")
        if not found and (foreign := sorted({path.name for path in root.glob("[!.]*")} - {"verified.json"})):
            remedy = "for your own pictures add dataset=folder, for IDX files dataset=idx; or name an empty folder"
            raise DataError(f"{root}: holds {foreign[0]!r}, so {name} is not written there; {remedy}")
        root.mkdir(parents=True, exist_ok=True)
        with lock_folder(root):  # processes that start together fetch once
            remove_temporary_files(root)
            # A corrupt file is reported, not replaced: the user may want to keep it.
            present = _verify(root, published)
            if missing := [role for role in FILES if role not in present]:
                _fetch_all(missing, published, root, mirror)
    _verify(root, published)


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Wait until no other process writes data into a folder; DataError if one does for a very long time."""
    try:
        with FileLock(folder / ".lock", timeout=LOCK_TIMEOUT_S):
            yield
    except TimeoutError as error:
        minutes = f"{LOCK_TIMEOUT_S / 60:.0f} minutes"
        raise DataError(f"{folder}: another process has held the lock for {minutes}; wait for it or end it") from error


def _verify(root: Path, published: Published) -> dict[str, Path]:
    """Find the files and check them, unless they were checked before and have not changed since."""
    files = find_idx_files(root)
    state = {path.name: [path.stat().st_size, path.stat().st_mtime_ns] for path in files.values()}
    checked = {"files": state, "sha256": published.sha256}
    if not files or read_json(root / "verified.json") == checked:
        return files
    remedy = "delete the file and the next run fetches it again, or use dataset=idx for files of your own"
    for role, path in files.items():
        try:
            _unpack(path.read_bytes(), published.sha256[role], is_packed=path.suffix == ".gz")
        except SourceError as error:
            raise DataError(f"{path}: is corrupt: {error}; {remedy}") from error
    with contextlib.suppress(OSError):  # a read-only folder: the files are checked at every start
        write_atomically(root / "verified.json", to_json(checked))
    return files


def _unpack(content: bytes, expected: str, *, is_packed: bool = True) -> bytes:
    """Unpack a file and verify it by its digest."""
    problem = ""
    if is_packed:
        try:
            content = gzip.GzipFile(fileobj=io.BytesIO(content)).read(MAX_BYTES)  # a gzip bomb is not unpacked further
        except BAD_GZIP as error:
            problem = f"; it is no gzip file: {error}"
    if (digest := hashlib.sha256(content).hexdigest()) != expected:
        beginning = f"{len(content)} bytes, beginning with {content[:16]!r}{problem}"
        raise SourceError(f"expected SHA-256 {expected}, found {digest} ({beginning})")
    return content


def _fetch_all(missing: list[str], published: Published, root: Path, mirror: str | None) -> None:
    """Try one source after the other until no file is missing."""
    mirrors, reasons = (mirror,) if mirror else published.mirrors, list[str]()
    with tempfile.TemporaryDirectory(prefix="fashion-softmax-") as scratch:
        for source in filter(None, (*mirrors, *mirrors, published.debian_package)):  # each mirror is tried twice
            place = source if source in mirrors else f"Debian package {source}"
            try:
                base = source if source in mirrors else unpack_package(source, Path(scratch))
                log.info("fetching %s from %s", ", ".join(FILES[role] for role in missing), place)
                for role in list(missing):
                    place = f"{base.rstrip('/')}/{FILES[role]}.gz"
                    write_atomically(root / FILES[role], _unpack(fetch(place), published.sha256[role]))
                    missing.remove(role)
                return
            except SourceError as error:
                reasons.append(f"{place}: {error}")
                log.info("this source failed: %s", reasons[-1])
    names = "\n".join(f"    {name}" for name in FILES.values())
    tried = "\n".join(f"    {reason}" for reason in dict.fromkeys(reasons))
    raise DataError(
        f"no data set in {root}, and no source delivers it.\n  Put these four files there (plain or .gz):\n{names}\n"
        f"  Sources tried:\n{tried}\n  If you can reach another mirror, name it with dataset.mirror=URL."
    )


def fetch(url: str) -> bytes:
    """Download one file into memory.

    A second thread transfers while this one watches the speed: bytes that come one by one never meet urllib's timeout.

    Args:
        url: http, https or file.

    Returns:
        The body, at most `MAX_BYTES`.

    Raises:
        SourceError: unreachable, refused, too slow, too large or cut short.
    """
    body, failures = bytearray(), list[str]()
    thread = threading.Thread(target=_transfer, args=(url, body, failures), daemon=True)
    start = time.monotonic()
    thread.start()
    while thread.is_alive():
        elapsed = time.monotonic() - start
        if elapsed > GRACE_S + len(body) / MIN_BYTES_PER_S:
            raise SourceError(f"too slow ({len(body)} bytes in {elapsed:.0f} s)")
        thread.join(0.1)
    if failures:
        raise SourceError(failures[0])
    return bytes(body)


def _transfer(url: str, body: bytearray, failures: list[str]) -> None:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:
            while chunk := response.read1(2**16):
                body += chunk
                if len(body) > MAX_BYTES:
                    raise ValueError(f"larger than {MAX_BYTES} bytes")
            announced = response.headers.get("Content-Length")
        if announced is not None and len(body) != int(announced):
            raise ValueError(f"cut short ({len(body)} of {announced} bytes)")
    except urllib.error.HTTPError as error:
        failures.append(f"HTTP {error.code} {error.reason}")
        error.close()
    except Exception as error:  # its text is enough: the error itself would keep the connection open
        failures.append(str(error.reason if isinstance(error, urllib.error.URLError) else error))


def unpack_package(package: str, folder: Path) -> str:
    """Download a Debian package and unpack it: no root is needed, nothing is installed.

    apt-get works with lists and a cache of its own in that folder, so the system's state stays as it is.

    Args:
        package: name of a package that holds gzipped data files in one folder.
        folder: an empty one.

    Returns:
        URL of the folder of the data files.

    Raises:
        SourceError: there is no apt-get on this machine, or the package cannot be had.
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise SourceError("no apt-get on this machine")
    for sub in ("lists/partial", "cache/archives/partial"):
        (folder / sub).mkdir(parents=True)
    options = [
        f"Dir::State::Lists={folder}/lists",
        f"Dir::Cache={folder}/cache",
        f"Acquire::http::Timeout={TIMEOUT_S:.0f}",  # of https too, unless that has its own
        "Acquire::Retries=1",
        "APT::Sandbox::User=",  # the folder belongs to this user alone; the user _apt could not write into it
    ]
    apt_get = ["apt-get", "-q", *(f"-o{option}" for option in options)]
    run = functools.partial(subprocess.run, cwd=folder, capture_output=True, text=True, timeout=APT_TIMEOUT_S)
    try:
        # `update` also fails when another repository fails while Debian's own lists are fine: download anyway.
        run([*apt_get, "update"])
        run([*apt_get, "download", package], check=True)
        run(["dpkg-deb", "-x", *map(str, folder.glob("*.deb")), "unpacked"], check=True)
    except (OSError, subprocess.SubprocessError) as error:
        reasons = [line[3:] for line in str(getattr(error, "stderr", "")).splitlines() if line.startswith("E: ")]
        raise SourceError(reasons[-1] if reasons else str(error)) from error
    return next((folder / "unpacked").rglob("*-ubyte.gz"), folder / "none").parent.as_uri()
