"""Getting a published data set: find its files and verify them, else fetch and verify them.

A file is verified by its SHA-256. That is remembered in `verified.json` beside the files, together with size and
modification time, and is done again when one of these changes. Nothing is used that is not verified.
"""

import contextlib
import gzip
import hashlib
import io
import logging
from collections.abc import Iterator
from pathlib import Path

from fashion_softmax.data.fetching import MAX_BYTES, FetchError, debian_package, fetch
from fashion_softmax.data.idx import BAD_GZIP, FILES, find_idx_files
from fashion_softmax.data.published import PUBLISHED, Published
from fashion_softmax.errors import DataError
from fashion_softmax.files import read_json, remove_temporary_files, write_atomically, write_json

log = logging.getLogger(__name__)
LOCK_TIMEOUT_S = 900.0  # longer than the slowest download that is still accepted


def prepare(name: str, root: Path, mirror: str | None = None) -> dict[str, Path]:
    """Make the four files of a published data set available and verified.

    Args:
        name: a key of `PUBLISHED`.
        root: folder of the files; created when something has to be fetched.
        mirror: URL to download from instead of the known mirrors.

    Returns:
        Role (`train_images`, ...) to the path of a verified file.

    Raises:
        DataError: a file is corrupt, or no source delivers; the message lists the sources and their reasons.
    """
    published = PUBLISHED[name]
    files = find_idx_files(root, published.suffix)
    if len(files) == len(FILES):
        return _verify(files, published)
    root.mkdir(parents=True, exist_ok=True)
    try:
        with locked(root):  # processes that start together fetch once
            # A corrupt file is reported, not replaced: the user may want to keep it.
            present = _verify(find_idx_files(root, published.suffix), published)
            if missing := [role for role in FILES if role not in present]:
                _fetch(missing, published, root, mirror)
            return _verify(find_idx_files(root, published.suffix), published)
    except TimeoutError as error:
        minutes = f"{LOCK_TIMEOUT_S / 60:.0f} minutes"
        raise DataError(f"{root}: another process has held the lock for {minutes}; wait for it or end it") from error


def _verify(files: dict[str, Path], published: Published) -> dict[str, Path]:
    """Check the files, unless they were checked before and have not changed since."""
    if not files:
        return files
    memory_path = next(iter(files.values())).parent / "verified.json"
    state = {path.name: [path.stat().st_size, path.stat().st_mtime_ns] for path in files.values()}
    checked = {"files": state, "sha256": published.sha256}
    if read_json(memory_path) == checked:
        return files
    for role, path in files.items():
        digest = _digest(path, unpack=path.suffix != published.suffix)
        if digest != published.sha256[role]:
            raise DataError(
                f"{path}: is corrupt: expected SHA-256 {published.sha256[role]}, found {digest} "
                f"({state[path.name][0]} bytes); delete the file and the next run fetches it again, "
                "or use dataset=idx for files of your own"
            )
    with contextlib.suppress(OSError):  # a read-only folder: the files are checked at every start
        write_json(memory_path, checked)
    return files


def _digest(path: Path, *, unpack: bool) -> str:
    with gzip.open(path) if unpack else path.open("rb") as file:
        try:
            return hashlib.file_digest(file, "sha256").hexdigest()
        except BAD_GZIP as error:
            return f"none: it cannot be read ({error})"


def _fetch(missing: list[str], published: Published, root: Path, mirror: str | None) -> None:
    """Try one source after the other until no file is missing."""
    mirrors = (mirror,) if mirror else published.mirrors
    sources: list[contextlib.AbstractContextManager[str]]
    sources = [contextlib.nullcontext(url) for url in mirrors * 2]  # each is tried twice
    if published.debian_package:
        sources.append(debian_package(published.debian_package))
    reasons = []
    for source in sources:
        try:
            with source as base:
                log.info("fetching %s from %s", ", ".join(FILES[role] for role in missing), base)
                while missing:
                    _store(fetch(f"{base.rstrip('/')}/{FILES[missing[0]]}.gz"), missing[0], published, root, base)
                    missing.pop(0)
            return
        except FetchError as error:
            reasons.append(str(error))
            log.info("this source failed: %s", error)
    names = "\n".join(f"    {name}{published.suffix}" for name in FILES.values())
    kinds = "" if published.suffix else " (plain or .gz)"
    tried = "\n".join(f"    {reason}" for reason in dict.fromkeys(reasons))
    raise DataError(
        f"no data set in {root}, and no source delivers it.\n  Put these four files there{kinds}:\n{names}\n"
        f"  Sources tried:\n{tried}\n  If you can reach another mirror, name it with dataset.mirror=URL."
    )


def _store(packed: bytes, role: str, published: Published, root: Path, source: str) -> None:
    """Verify a fetched file and write it; unpacked, if its digest is that of the unpacked file."""
    content, problem = packed, ""
    if not published.suffix:
        try:
            content = gzip.GzipFile(fileobj=io.BytesIO(packed)).read(MAX_BYTES)  # a gzip bomb is not unpacked further
        except BAD_GZIP as error:
            problem = f"; it is no gzip file: {error}"
    if (digest := hashlib.sha256(content).hexdigest()) != published.sha256[role]:
        raise FetchError(
            f"{source}: wrong content for {FILES[role]}.gz: expected SHA-256 {published.sha256[role]}, found {digest} "
            f"({len(content)} bytes, beginning with {content[:16]!r}{problem})"
        )
    write_atomically(root / f"{FILES[role]}{published.suffix}", content)


@contextlib.contextmanager
def locked(folder: Path, timeout_s: float = LOCK_TIMEOUT_S) -> Iterator[None]:
    """Let one process at a time write into a folder; the lock of a process that was killed is free.

    Args:
        folder: which exists. What a killed process left of a file is removed.
        timeout_s: how long to wait for another process.

    Raises:
        TimeoutError: another process has the lock.
        OSError: the folder may not be written.
    """
    from filelock import FileLock

    with FileLock(folder / ".lock", timeout=timeout_s):  # its Timeout is a TimeoutError
        remove_temporary_files(folder)
        yield
