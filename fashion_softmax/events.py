"""TensorBoard's event file of one run, written by whoever logs.

`SummaryWriter` hands every event to a thread of its own, which reports a full disk at some later call. Written
directly, an error is met where it happens, and 64 runs trained as one need no 64 threads.
"""

import itertools
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

_numbers = itertools.count()


class EventFile:
    """A new event file; its name says when, where and by which process it was begun.

    Args:
        folder: the run's.
        first_step: on TensorBoard's axis; what files before this one hold from there on is forgotten.

    Raises:
        OSError: the disk is full or the folder may not be written; so do all methods.
    """

    def __init__(self, folder: Path, first_step: int = 0) -> None:
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(_numbers)}"
        self._file = (folder / name).open("xb")
        self._records = RecordWriter(self._file)
        self._write(Event(file_version="brain.Event:2"))
        # In the first file as well: TensorBoard takes the first start it sees for no restart, and forgets nothing.
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

    def flush(self) -> None:
        """Let readers see everything written."""
        self._file.flush()

    def close(self) -> None:
        """Close the file; closing again does nothing."""
        self._file.close()

    def _write(self, event: Event) -> None:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())
