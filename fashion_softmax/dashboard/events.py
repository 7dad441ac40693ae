"""TensorBoard's event file of one run, written without a thread.

torch's `SummaryWriter` hands every event to a thread, which reports a full disk at some later call. Here an error is
raised by the call that causes it, and 64 runs that train as one need no 64 threads. `SummaryWriter.add_hparams` would
make a second run and always report success; here these records belong to the run.
"""

import contextlib
import itertools
import os
import socket
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import google_crc32c
from google.protobuf.message import DecodeError
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.hparams.api_pb2 import Status
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData, SessionEndInfo

HEADER = struct.Struct("<QI")  # of a record: length of the data, and its checksum; then the data and its checksum
CHECKSUM = struct.Struct("<I")

_numbers = itertools.count()


class EventFile:
    """A new event file; its name says when, on which machine and by which process it was made.

    Args:
        folder: the run's.
        first_step: on TensorBoard's axis; it drops what earlier files of the run have from this step on.

    Raises:
        OSError: the disk is full or the folder may not be written; all methods raise it too.
    """

    def __init__(self, folder: Path, first_step: int = 0) -> None:
        # TensorBoard reads a run's files by name: the number has leading zeros.
        place = f"{socket.gethostname()}.{os.getpid()}.{next(_numbers):05d}"
        name = f"events.out.tfevents.{int(time.time()):010d}.{place}"
        self._file = (folder / name).open("xb")
        self._write(Event(file_version="brain.Event:2"))
        # In the first file too: TensorBoard drops nothing at the first start that it sees.
        self._write(Event(session_log=SessionLog(status=SessionLog.START), step=first_step))

    def write(self, summary: Summary, step: int = 0) -> None:
        """Add a summary, such as those made by `torch.utils.tensorboard.summary`.

        Args:
            summary: any number of tags with their values.
            step: on TensorBoard's axis, larger than that of these tags before.
        """
        self._write(Event(summary=summary, step=step))

    def write_scalars(self, values: Mapping[str, float], step: int) -> None:
        """Add a point to each of several curves, by tag."""
        self.write(Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]), step)

    def write_end(self, *, succeeded: bool) -> None:
        """Tell the HParams table how the run ended."""
        status = Status.STATUS_SUCCESS if succeeded else Status.STATUS_FAILURE
        # The same as TensorBoard's own session_end_pb, which needs TensorFlow.
        end = HParamsPluginData(session_end_info=SessionEndInfo(status=status, end_time_secs=time.time()))
        about = metadata.create_summary_metadata(end)
        value = Summary.Value(tag=metadata.SESSION_END_INFO_TAG, metadata=about, tensor=metadata.NULL_TENSOR)
        self.write(Summary(value=[value]))

    def flush(self) -> None:
        """Let readers see everything written."""
        self._file.flush()

    def close(self) -> None:
        """Close the file; closing again does nothing."""
        self._file.close()

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        self._file.write(_frame(event.SerializeToString()))


def forget(content: bytes, tag_prefixes: Sequence[str]) -> bytes:
    """Copy an event file without some of its tags, and without a last record that a killed process left unfinished.

    Args:
        content: of the file; records that cannot be read stay as they are.
        tag_prefixes: of the tags to leave out.
    """
    prefixes, kept = tuple(tag_prefixes), bytearray()
    for record in _split(content):
        event = Event()
        with contextlib.suppress(DecodeError):
            event.ParseFromString(record[HEADER.size : -CHECKSUM.size])
        values = [value for value in event.summary.value if not value.tag.startswith(prefixes)]
        if len(values) == len(event.summary.value):
            kept += record
        elif values:
            del event.summary.value[:]
            event.summary.value.extend(values)
            kept += _frame(event.SerializeToString())
    return bytes(kept)


def _split(content: bytes) -> Iterator[bytes]:
    """Yield the records that are whole, with their frames."""
    start = 0
    while start + HEADER.size <= len(content):
        end = start + HEADER.size + HEADER.unpack_from(content, start)[0] + CHECKSUM.size
        if end > len(content):
            return
        yield content[start:end]
        start = end


def _frame(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + CHECKSUM.pack(_checksum(length)) + data + CHECKSUM.pack(_checksum(data))


def _checksum(data: bytes) -> int:
    """Compute TFRecord's masked CRC-32C; TensorBoard's own, in Python, takes as long as drawing.

    References:
        https://www.tensorflow.org/tutorials/load_data/tfrecord
    """
    crc: int = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
