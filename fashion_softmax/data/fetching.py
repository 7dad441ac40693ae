"""Bringing files over the network, with every wait bounded.

torchvision knows the mirrors, but its own download has no timeout, writes in place and trusts what it finds
afterwards; so its lists are used here and the transfer is ours.
"""

import http.client
import queue
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, cast

TIMEOUT_S = 10.0  # for a connection, and for each read
GRACE_S = 15.0  # after this, a transfer has to have reached the minimum rate on average
MIN_BYTES_PER_S = 10_000
MAX_BYTES = 64 * 2**20  # the largest published file has 26 MB
RETRIES = 1
APT_TIMEOUT_S = 180.0


class FetchError(Exception):
    """A source did not deliver; the message is the reason, for a list of all sources tried."""


def torchvision_mirrors(class_name: str) -> list[str]:
    """Look up where torchvision downloads a data set from; imports torchvision, which takes about 2 s.

    Args:
        class_name: a class of `torchvision.datasets`, such as `FashionMNIST`.
    """
    import torchvision.datasets

    mirrors: list[str] = getattr(torchvision.datasets, class_name).mirrors
    return mirrors


def fetch(url: str) -> bytes:
    """Download one file into memory.

    Args:
        url: http, https or file.

    Returns:
        The body, at most `MAX_BYTES`.

    Raises:
        FetchError: unreachable, refused, too slow, too large or cut short, after `RETRIES` more attempts.
    """
    for attempt in range(1 + RETRIES):
        try:
            return _fetch_once(url)
        except urllib.error.HTTPError as error:
            error.close()
            raise FetchError(f"{url}: HTTP {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            if attempt == RETRIES or isinstance(error, ValueError):
                reason = getattr(error, "reason", None) or error
                raise FetchError(f"{url}: {reason}") from error
    raise AssertionError("the loop returns or raises")


def _fetch_once(url: str) -> bytes:
    start = time.monotonic()
    body = bytearray()
    with _open(url) as response:
        while chunk := response.read1(2**16):
            body += chunk
            elapsed = time.monotonic() - start
            if len(body) > MAX_BYTES:
                raise FetchError(f"{url}: larger than {MAX_BYTES} bytes")
            if elapsed > GRACE_S and len(body) < MIN_BYTES_PER_S * elapsed:
                raise FetchError(f"{url}: too slow ({len(body)} bytes in {elapsed:.0f} s)")
        announced = response.headers.get("Content-Length")
    if announced is not None and len(body) != int(announced):
        raise FetchError(f"{url}: cut short ({len(body)} of {announced} bytes)")
    return bytes(body)


def _open(url: str) -> http.client.HTTPResponse:
    """Open a URL within a bounded time, also when the server sends its header a byte at a time."""
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    abandoned = threading.Event()

    def ask() -> None:
        try:
            response = urllib.request.urlopen(url, timeout=TIMEOUT_S)
            if abandoned.is_set():
                response.close()
            else:
                answers.put(response)
        except Exception as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=TIMEOUT_S + GRACE_S)
    except queue.Empty as error:
        abandoned.set()
        raise FetchError(f"{url}: too slow (no answer in {TIMEOUT_S + GRACE_S:.0f} s)") from error
    if isinstance(answer, Exception):
        raise answer
    return cast(http.client.HTTPResponse, answer)


def fetch_debian(package: str) -> dict[str, bytes]:
    """Download a Debian package and take its files, without root and without installing anything.

    apt-get works on lists and a cache of its own in a temporary folder, so the system's state stays as it is.

    Args:
        package: name of a package that holds data files below /usr/share/datasets.

    Returns:
        File name to content, for every file below that folder.

    Raises:
        FetchError: there is no apt-get here, or the package cannot be had.
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
            f"Acquire::Retries={RETRIES}",
            "APT::Sandbox::User=",  # the folder is ours alone; the user _apt could not write into it
        ]
        apt_get = ["apt-get", "-q", *(f"-o{option}" for option in options)]
        # A third-party repository that fails makes `update` fail while Debian's own lists are fine: go on and see.
        _run([*apt_get, "update"], folder, package, check=False)
        _run([*apt_get, "download", package], folder, package)
        archives = list(folder.glob("*.deb"))
        if not archives:
            raise FetchError(f"Debian package {package}: apt-get delivered no package")
        _run(["dpkg-deb", "-x", str(archives[0]), "unpacked"], folder, package)
        datasets = folder / "unpacked/usr/share/datasets"
        return {path.name: path.read_bytes() for path in datasets.rglob("*") if path.is_file()}


def _run(command: list[str], folder: Path, package: str, *, check: bool = True) -> None:
    try:
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=APT_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FetchError(f"Debian package {package}: {error}") from error
    if check and result.returncode != 0:
        lines = [line for line in result.stderr.splitlines() if line.startswith("E:")] or ["no reason given"]
        raise FetchError(f"Debian package {package}: {lines[-1].removeprefix('E:').strip()}")
