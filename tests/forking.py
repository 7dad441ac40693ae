"""Scripts of ours as processes of their own that need not import torch anew, which is most of what a tiny run costs.

A server imports what is heavy and not ours, once, and forks a process for each command. That process is what the
command line would start: it reads the script, has its own arguments, folder, environment and output, and ends with its
own exit code. What differs are the heavy imports, done before, and the seed of Python's hashes, which all share: what
is tested about either has to start an interpreter of its own.
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

HEAVY = ["hydra", "PIL.Image", "rich.progress", "tensorboard", "torch", "torch.utils.tensorboard", "yaml"]


def run(
    command: Sequence[str], cwd: Path, environment: Mapping[str, str], timeout_s: int
) -> subprocess.CompletedProcess[str]:
    """Run a script with its arguments, as `subprocess.run` does where it captures output and errors as text."""
    (result,) = run_together([command], cwd, environment, timeout_s)
    return result


def run_together(
    commands: Sequence[Sequence[str]], cwd: Path, environment: Mapping[str, str], timeout_s: int
) -> list[subprocess.CompletedProcess[str]]:
    """Run several at the same time; all have the same folder and environment."""
    server = start_server()
    assert server.stdin is not None and server.stdout is not None
    with tempfile.TemporaryDirectory() as folder:
        streams = [(Path(folder, f"output{index}"), Path(folder, f"errors{index}")) for index in range(len(commands))]
        jobs = [(list(command), *map(str, paths)) for command, paths in zip(commands, streams, strict=True)]
        print(json.dumps([jobs, str(cwd), dict(environment), timeout_s]), file=server.stdin, flush=True)
        codes = json.loads(server.stdout.readline())
        texts = [[path.read_text(encoding="utf-8") for path in paths] for paths in streams]
    if -signal.SIGALRM in codes:
        raise subprocess.TimeoutExpired(list(commands), timeout_s, str(texts))
    ends = zip(commands, codes, texts, strict=True)
    return [subprocess.CompletedProcess(list(command), code, *outputs) for command, code, outputs in ends]


@functools.cache
def start_server() -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(process.communicate)  # the end of its input is its end
    return process


def serve() -> None:
    """Fork the processes that a line of the input wants and print their exit codes; in each, run its command."""
    for name in HEAVY:
        importlib.import_module(name)
    gc.freeze()  # or the first collection of each process would copy all of it
    for line in sys.stdin:
        jobs, *surroundings = json.loads(line)
        children = []
        for job in jobs:
            children.append(os.fork())
            if children[-1] == 0:
                become(*job, *surroundings)
                return
        print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children], flush=True)


def become(command: list[str], output: str, errors: str, cwd: str, environment: dict[str, str], timeout_s: int) -> None:
    """Be the process of a command, as far as to the end of its script."""
    signal.alarm(timeout_s)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for descriptor, path in enumerate((output, errors), 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), descriptor)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = command
    sys.path[0] = str(Path(command[0]).parent)
    sys.path[1:1] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    runpy.run_path(command[0], run_name="__main__")


if __name__ == "__main__":
    serve()
