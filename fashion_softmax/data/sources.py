"""Getting the published data sets: from the disk, from a mirror, or from Debian; nothing unverified is ever used.

Every file is compared with a SHA-256 once; the check is remembered in `verified.json` beside the files, together with
size and modification time, and repeated when one of these changes.
"""

import contextlib
import functools
import gzip
import hashlib
import json
import logging
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from fashion_softmax.data.fetching import FetchError, fetch, fetch_debian, torchvision_mirrors
from fashion_softmax.data.idx import find_idx_files
from fashion_softmax.data.published import FILES, PUBLISHED, Published
from fashion_softmax.errors import DataError
from fashion_softmax.files import locked, write_atomically, write_json

log = logging.getLogger(__name__)


def prepare(name: str, root: Path, mirror: str | None = None) -> dict[str, Path]:
    """Make the four files of a published data set available and verified.

    Looks below `root` first (also in torchvision's layout), then downloads what is missing, under a lock, so that
    processes that start together download once.

    Args:
        name: a key of `PUBLISHED`.
        root: folder of the files; created when something has to be written into it.
        mirror: URL to download from instead of torchvision's mirrors.

    Returns:
        Role (`train_images`, ...) to the path of a verified file.

    Raises:
        DataError: a file is corrupt, or no source delivers; the message lists the sources and their reasons.
    """
    published = PUBLISHED[name]
    for folder in (root, root / published.torchvision_name / "raw"):
        found = _find(folder, published)
        if len(found) == len(published.sha256):
            return _unpack(_verify(found, published), published)
    root.mkdir(parents=True, exist_ok=True)
    with locked(root):
        # What is there already is checked first: a corrupt file is the user's to remove, not ours to overwrite.
        missing = published.sha256.keys() - _verify(_find(root, published), published).keys()
        if missing:
            _download(published, root, mirror, sorted(missing))
        return _verify(_find(root, published), published)


def _find(folder: Path, published: Published) -> dict[str, Path]:
    """Find the files whose digest can be checked: of a set with gzip digests, only the gzipped ones."""
    if published.hashes_gzip:
        candidates = {role: folder / f"{stem}.gz" for role, (stem, _) in FILES.items()}
        return {role: path for role, path in candidates.items() if path.is_file()}
    return find_idx_files(folder)


def _verify(found: dict[str, Path], published: Published) -> dict[str, Path]:
    """Check every file that was not checked before, or has changed since."""
    if not found:
        return found
    memory_path = next(iter(found.values())).parent / "verified.json"
    memory = _read_memory(memory_path)
    fresh = {}
    for role, path in found.items():
        stat = path.stat()
        entry = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": published.sha256[role]}
        fresh[path.name] = entry
        if memory.get(path.name) == entry:
            continue
        digest = _digest(path, unpack=path.suffix == ".gz" and not published.hashes_gzip)
        if digest != entry["sha256"]:
            raise DataError(
                f"{path}: is corrupt: expected SHA-256 {entry['sha256']}, found {digest} ({stat.st_size} bytes); "
                "delete the file and the next run fetches it again, or use dataset=idx for files of your own"
            )
    if fresh != memory:
        try:
            write_json(memory_path, fresh)
        except OSError:  # a read-only folder: the files are checked at every start
            log.debug("cannot remember the verification in %s", memory_path)
    return found


def _unpack(found: dict[str, Path], published: Published) -> dict[str, Path]:
    """Unpack verified files that somebody put there gzipped, so that later starts can map them into memory."""
    packed = {} if published.hashes_gzip else {role: path for role, path in found.items() if path.suffix == ".gz"}
    unpacked = dict(found)
    if packed:
        # A folder that cannot be written: the files are unpacked at every start.
        with contextlib.suppress(OSError), locked(next(iter(packed.values())).parent):
            for role, path in packed.items():
                plain = path.with_name(FILES[role][0])
                if not plain.exists():  # else another process was quicker
                    write_atomically(plain, gzip.decompress(path.read_bytes()))
                unpacked[role] = plain
    return unpacked


def _read_memory(path: Path) -> dict[str, object]:
    try:
        memory = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return memory if isinstance(memory, dict) else {}


def _digest(path: Path, *, unpack: bool) -> str:
    with path.open("rb") as file:
        if not unpack:
            return hashlib.file_digest(file, "sha256").hexdigest()
        try:
            return hashlib.sha256(_gunzip(file.read())).hexdigest()
        except (zlib.error, ValueError) as error:
            return f"none: it cannot be unpacked ({error})"


def _download(published: Published, root: Path, mirror: str | None, missing: list[str]) -> None:
    reasons = []
    for source, fetch_file in _sources(published, mirror):
        names = ", ".join(FILES[role][0] for role in missing)
        log.info("fetching %s from %s", names, source)
        try:
            for role in list(missing):
                _store(fetch_file(FILES[role][0] + ".gz"), role, published, root, source)
                missing.remove(role)
            return
        except FetchError as error:
            reasons.append(str(error))
            log.info("no luck: %s", error)
    suffix, kinds = (".gz", "") if published.hashes_gzip else ("", " (plain or .gz)")
    names = "\n".join(f"    {stem}{suffix}" for stem, _ in FILES.values())
    tried = "\n".join(f"    {reason}" for reason in reasons)
    raise DataError(
        f"no data set in {root}, and no source delivers it.\n  Put these four files there{kinds}:\n{names}\n"
        f"  Sources tried:\n{tried}\n  A mirror you can reach can be named with dataset.mirror=URL."
    )


def _sources(published: Published, mirror: str | None) -> Iterator[tuple[str, Callable[[str], bytes]]]:
    """List where the gzipped files can come from, in order: a name to show, and a function from file name to bytes."""
    for base in [mirror] if mirror else torchvision_mirrors(published.torchvision_name):
        yield base, functools.partial(_fetch_below, base)
    if published.debian_package:
        files: dict[str, bytes] = {}

        def from_debian(name: str) -> bytes:
            if not files:
                files.update(fetch_debian(str(published.debian_package)))
            if name not in files:
                raise FetchError(f"Debian package {published.debian_package}: holds no {name}")
            return files[name]

        yield f"Debian's package {published.debian_package}", from_debian


def _fetch_below(base: str, name: str) -> bytes:
    return fetch(f"{base.rstrip('/')}/{name}")


def _store(packed: bytes, role: str, published: Published, root: Path, source: str) -> None:
    """Check a gzipped file and write it, unpacked where the digest is that of the unpacked file."""
    stem, size = FILES[role]
    try:
        content = packed if published.hashes_gzip else _gunzip(packed, max_size=size)
    except (zlib.error, ValueError) as error:
        content, packed_error = packed, f"; it is no gzip file: {error}"
    else:
        packed_error = ""
    digest = hashlib.sha256(content).hexdigest()
    if digest != published.sha256[role]:
        raise FetchError(
            f"{source}: wrong content for {stem}.gz: expected SHA-256 {published.sha256[role]}, found {digest} "
            f"({len(content)} bytes, beginning with {content[:16]!r}{packed_error})"
        )
    name = f"{stem}.gz" if published.hashes_gzip else stem
    write_atomically(root / name, content)


def _gunzip(packed: bytes, max_size: int = 2**26) -> bytes:
    """Unpack one gzip stream, but never more than `max_size` bytes: what is longer is wrong anyway."""
    unpacker = zlib.decompressobj(wbits=31)
    content = unpacker.decompress(packed, max_size + 1)
    if not unpacker.eof and len(content) <= max_size:
        raise ValueError("the file ends too early")
    return content
