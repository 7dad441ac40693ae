"""Fetching files from a server or from a Debian package; every wait is bounded."""

import contextlib
import functools
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

TIMEOUT_S = 10.0  # for a connection, and for each read
GRACE_S = 15.0  # after this time a transfer must have reached the minimum rate on average
MIN_BYTES_PER_S = 10_000
MAX_BYTES = 64 * 2**20  # the largest published file has 26 MB
APT_TIMEOUT_S = 180.0  # for each of its two commands


class FetchError(Exception):
    """A source did not deliver; the message gives the reason, for the list of all sources tried."""


def fetch(url: str) -> bytes:
    """Download one file into memory.

    A second thread transfers while this one watches the speed: a header that is sent byte by byte would never meet
    urllib's own timeout.

    Args:
        url: http, https or file.

    Returns:
        The body, at most `MAX_BYTES`.

    Raises:
        FetchError: unreachable, refused, too slow, too large or cut short.
    """
    body, failures = bytearray(), list[str]()
    thread = threading.Thread(target=_transfer, args=(url, body, failures), daemon=True)
    start = time.monotonic()
    thread.start()
    thread.join(GRACE_S)
    while thread.is_alive():
        elapsed = time.monotonic() - start
        if len(body) < MIN_BYTES_PER_S * elapsed:
            raise FetchError(f"{url}: too slow ({len(body)} bytes in {elapsed:.0f} s)")
        thread.join(1.0)
    if failures:
        raise FetchError(f"{url}: {failures[0]}")
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


@contextlib.contextmanager
def debian_package(package: str) -> Iterator[str]:
    """Download a Debian package and unpack it into a temporary folder: no root is needed, nothing is installed.

    apt-get works with lists and a cache of its own in that folder, so the system's state stays as it is.

    Args:
        package: name of a package that holds gzipped data files in one folder.

    Yields:
        URL of that folder; it is deleted in the end.

    Raises:
        FetchError: there is no apt-get on this machine, or the package cannot be had.
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise FetchError(f"Debian package {package}: no apt-get on this machine")
    with tempfile.TemporaryDirectory(prefix="fashion-softmax-apt-") as name:
        folder = Path(name)
        for sub in ("lists/partial", "cache/archives/partial"):
            (folder / sub).mkdir(parents=True)
        options = [
            f"Dir::State::Lists={folder}/lists",
            f"Dir::Cache={folder}/cache",
            f"Acquire::http::Timeout={TIMEOUT_S:.0f}",
            f"Acquire::https::Timeout={TIMEOUT_S:.0f}",
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
            raise FetchError(f"Debian package {package}: {reasons[-1] if reasons else error}") from error
        data_file = next((folder / "unpacked").rglob("*-ubyte.gz"), folder / "none")
        yield data_file.parent.as_uri()
