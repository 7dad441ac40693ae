"""Scripts of ours as processes of their own that need not import torch anew, which is most of what a tiny run costs.

A server imports what is heavy and not ours, once, and forks a process for each command. That process is what the
command line would start: it reads the script, has its own arguments, folder, environment and output, can be killed, and
ends with its own exit code. What differs are the heavy imports, done before, and the seed of Python's hashes, which all
share: what is tested about either has to start an interpreter of its own. So does every command where processes are
not to be forked: on Windows, and on macOS, whose frameworks do not survive it.
"""

import atexit
import functools
import gc
import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TIMED_OUT = "timed out"
HEAVY = [
    "hydra",
    "PIL.Image",
    "rich.progress",
    "tensorboard",
    "torch",
    "torch._dynamo",
    "torch.utils.tensorboard",
    "yaml",
]


class Process:
    """A script that runs with its arguments, and is killed when its time is up.

    Args:
        command: path of the script, and its arguments.
        cwd: its working folder.
        environment: its environment.
        timeout_s: its time.
    """

    def __init__(self, command: Sequence[str], cwd: Path, environment: Mapping[str, str], timeout_s: int) -> None:
        self.command = list(command)
        self._folder = tempfile.TemporaryDirectory()
        self._streams = [Path(self._folder.name, name) for name in ("output", "errors")]
        for path in self._streams:
            path.touch()
        self._timeout_s = timeout_s
        self._fresh: subprocess.Popen[bytes] | None = None
        if sys.platform == "linux":
            self.pid = ask("start", self.command, [*map(str, self._streams)], str(cwd), dict(environment), timeout_s)
        else:
            own = [sys.executable, *self.command]
            with self._streams[0].open("wb") as output, self._streams[1].open("wb") as errors:
                self._fresh = subprocess.Popen(own, cwd=cwd, env=dict(environment), stdout=output, stderr=errors)
            self.pid = self._fresh.pid

    def kill(self) -> None:
        """Kill it; it must not have been waited for."""
        if self._fresh:
            self._fresh.kill()
        else:
            os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> subprocess.CompletedProcess[str]:
        """Wait for its end; its exit code and what it wrote."""
        code = self._wait_for_fresh(self._fresh) if self._fresh else ask("wait", self.pid)
        texts = [path.read_text(encoding="utf-8") for path in self._streams]
        self._folder.cleanup()
        if code == TIMED_OUT or (sys.platform == "linux" and code == -signal.SIGALRM):
            raise AssertionError(f"{self.command} took too long: {texts}")
        return subprocess.CompletedProcess(self.command, code, *texts)

    def _wait_for_fresh(self, process: "subprocess.Popen[bytes]") -> int | str:
        try:
            return process.wait(self._timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            return TIMED_OUT


def run(
    command: Sequence[str], cwd: Path, environment: Mapping[str, str], timeout_s: int
) -> subprocess.CompletedProcess[str]:
    """Do what `subprocess.run` does where it captures output and errors as text."""
    return Process(command, cwd, environment, timeout_s).wait()


def ask(*request: object) -> Any:
    """Have the server do something; its answer."""
    server = start_server()
    assert server.stdin is not None and server.stdout is not None
    print(json.dumps(request), file=server.stdin, flush=True)
    return json.loads(server.stdout.readline())


@functools.cache
def start_server() -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(process.communicate)  # the end of its input is its end
    return process


def serve() -> None:
    """Answer each line of the input: fork a process, or wait for one. In the forked process, run its command."""
    for name in HEAVY:
        importlib.import_module(name)
    warm_parsers()
    gc.freeze()  # or the first collection of each process would copy all of it
    for line in sys.stdin:
        what, *details = json.loads(line)
        if what == "start":
            answer = os.fork()
            if answer == 0:
                become(*details)
                return
        else:
            answer = os.waitstatus_to_exitcode(os.waitpid(details[0], 0)[1])
        print(answer, flush=True)


def warm_parsers() -> None:
    """Let Hydra and OmegaConf read something: their parsers are slow until they have seen a grammar's rules once."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf

    lines = [
        "a=b,1,0.5",
        "+a.b=[1,2]",
        "~a",
        "a@b=c",
        "a='x y'",
        "a={b:1}",
        "a=${b}",
        "a=null",
        "a=range(1,3)",
        "a=1e-3",
    ]
    OverridesParser.create().parse_overrides(lines)
    config = OmegaConf.create({"a": 1, "b": "${a}", "c": "${oc.env:X,y}/${b}", "d": "x-${now:%Y}_${oc.select:a}"})
    OmegaConf.register_new_resolver("now", str, replace=True)
    OmegaConf.to_container(config, resolve=True)
    OmegaConf.clear_resolvers()


def become(command: list[str], streams: list[str], cwd: str, environment: dict[str, str], timeout_s: int) -> None:
    """Be the process of a command, as far as to the end of its script."""
    signal.alarm(timeout_s)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for descriptor, path in enumerate(streams, 1):
        os.dup2(os.open(path, os.O_WRONLY), descriptor)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = command
    sys.path[0] = str(Path(command[0]).parent)
    sys.path[1:1] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    runpy.run_path(command[0], run_name="__main__")


if __name__ == "__main__":
    serve()
