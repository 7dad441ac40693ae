"""What `benchmark.py` takes the time of: our passes, the lesson's, what no implementation can leave out, commands."""

import contextlib
import io
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn

from fashion_softmax.config.building import Parts
from fashion_softmax.config.jobs import compose
from fashion_softmax.config.schema import resolve
from fashion_softmax.dashboard.panels import Dashboard
from fashion_softmax.data import Batches, Dataset
from fashion_softmax.data.decoding import Recipe
from fashion_softmax.data.pictures import Picture, read_pictures
from fashion_softmax.runs.folder import write_folder
from fashion_softmax.runs.records import read_folder
from fashion_softmax.runs.training import train_folders
from fashion_softmax.stacking import Stack
from fashion_softmax.stacking.training import fit

WATCH = """
import resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""

SWEEPS = """
import json, sys, time
from fashion_softmax.cli import main
for arguments in json.loads(sys.argv[1]):
    sys.argv[1:] = arguments
    start = time.perf_counter()
    main()
    print("seconds", time.perf_counter() - start, file=sys.stderr)
"""


PILLOW = """
import json, sys
import numpy as np
from PIL import Image
for path in json.load(sys.stdin):
    with Image.open(path) as image:
        np.asarray(image.convert("RGB"))
"""


def best_of(rounds: int, *candidates: Callable[[], float]) -> tuple[float, ...]:
    """Let candidates take turns and return each one's best time in seconds."""
    times = [[candidate() for candidate in candidates] for _ in range(rounds)]
    return tuple(map(min, zip(*times, strict=True)))


def epoch(parts: Parts) -> float:
    """Time our training pass over all batches, as `fit` runs it, in seconds."""
    return stack_epoch(Stack([parts.member]), parts)


def floor_epoch(dataset: Dataset) -> float:
    """Time what no implementation can leave out: the same batches, the forward product, the weight gradient."""
    weight = torch.zeros(dataset.num_classes, dataset.train.images[0].numel())
    gradient = torch.zeros(dataset.batch_size, dataset.num_classes)
    start = time.perf_counter()
    for images, labels in Batches(dataset.train, dataset.batch_size, seed=0).epoch(0, reuse_buffer=True):
        features = images.flatten(1)
        _ = features @ weight.T
        _ = gradient[: len(labels)].T @ features
    return time.perf_counter() - start


def stack_epoch(stack: Stack, parts: Parts) -> float:
    """Time a training pass of all runs of a stack, in seconds."""
    return next(fit(stack, parts.make_batches(), {}, num_epochs=1))[0].training_s


def stack_floor(dataset: Dataset, num_runs: int) -> float:
    """Time the two matrix products of a stack's epoch alone, on one batch again and again."""
    features = torch.rand(dataset.batch_size, dataset.train.images[0].numel())
    weight = torch.rand(num_runs * dataset.num_classes, features.shape[1])
    gradient = torch.rand(len(weight), dataset.batch_size)
    start = time.perf_counter()
    for _ in range(len(Batches(dataset.train, dataset.batch_size, seed=0))):
        _ = weight @ features.T
        _ = gradient @ features
    return time.perf_counter() - start


def lesson_epoch(num_workers: int, dataset: Dataset, share: int = 1) -> float:
    """Time one epoch as the lesson writes it: torchvision's data set, `ToTensor` per image, a `DataLoader`.

    Args:
        num_workers: of the `DataLoader`.
        dataset: gives the size of a batch.
        share: train on one image in so many, and multiply the time by it.
    """
    import torchvision

    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "FashionMNIST", "raw")
        raw.parent.mkdir()
        raw.symlink_to(Path(resolve(compose())["dataset"]["root"]).absolute())
        to_tensor = torchvision.transforms.ToTensor()
        everything = torchvision.datasets.FashionMNIST(folder, train=True, transform=to_tensor)
        images = torch.utils.data.Subset(everything, range(0, len(everything), share)) if share > 1 else everything
        loader = torch.utils.data.DataLoader(images, dataset.batch_size, shuffle=True, num_workers=num_workers)
        net = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
        nn.init.normal_(net[1].weight, std=0.01)  # type: ignore[arg-type]
        loss = nn.CrossEntropyLoss(reduction="none")
        trainer = torch.optim.SGD(net.parameters(), lr=0.1)
        sums = torch.zeros(3)  # loss, correct predictions, images
        start = time.perf_counter()
        for batch, y in loader:
            scores: Tensor = net(batch)
            per_image = loss(scores, y)
            trainer.zero_grad()
            per_image.mean().backward()
            trainer.step()
            correct = float((scores.argmax(1) == y).sum())
            sums += torch.tensor([float(per_image.detach().sum()), correct, float(len(y))])
        return share * (time.perf_counter() - start)


def time_decoding(num_pictures: int) -> tuple[float, float]:
    """Time decoding PNGs of 64 x 64 into a cache, and Pillow alone in as many processes, in seconds.

    In memory where there is /dev/shm, so that no disk is measured, and no files are deleted on one.
    """
    in_memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(dir=in_memory) as name:
        root, cache = Path(name, "pictures"), Path(name, "cache")
        root.mkdir()
        paths = [str(root / f"{number}.png") for number in range(num_pictures)]
        for number, path in enumerate(paths):
            if number < 100:
                Image.effect_noise((64, 64), number).convert("RGB").save(path)
            else:
                shutil.copyfile(paths[number % 100], path)
        pictures = [Picture("train", 0, path, path, (0,)) for path in paths]

        def ours() -> float:
            shutil.rmtree(cache, ignore_errors=True)
            start = time.perf_counter()
            read_pictures(root, pictures, Recipe(None, "crop", None, "white"), cache, skip_broken=False)
            return time.perf_counter() - start

        def bare() -> float:
            start, num_workers = time.perf_counter(), torch.get_num_threads()
            workers = [
                subprocess.Popen([sys.executable, "-c", PILLOW], stdin=subprocess.PIPE) for _ in range(num_workers)
            ]
            for number, worker in enumerate(workers):
                assert worker.stdin
                worker.stdin.write(json.dumps(paths[number::num_workers]).encode())
                worker.stdin.close()
            for worker in workers:
                worker.wait()
            return time.perf_counter() - start

        return best_of(3, ours, bare)  # type: ignore[return-value]


def run_python(arguments: list[str], memory_mb: list[float]) -> float:
    """Run this interpreter as a new process; append its peak memory and return its wall time in seconds.

    A small process in between starts and measures it: a child's peak begins with that of the process it forks from.
    """
    command = [sys.executable, *arguments]
    output = subprocess.run([sys.executable, "-S", "-c", WATCH, *command], capture_output=True, text=True, check=True)
    seconds, peak = map(float, output.stdout.split())
    # Linux counts kilobytes, macOS bytes.
    memory_mb.append(peak / (2**20 if sys.platform == "darwin" else 2**10))
    return seconds


def time_sweeps(*sweeps: list[str]) -> list[float]:
    """Run sweeps one after another in a new process, and return the wall time of each in seconds.

    The first one pays what the process starts with: importing torch takes as long as launching hundreds of jobs, and
    varies by more than launching takes.

    Args:
        *sweeps: the arguments of each.
    """
    command = [sys.executable, "-c", SWEEPS, json.dumps(sweeps)]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    return [float(line.split()[1]) for line in output.splitlines() if line.startswith("seconds ")]


def time_files(folder: Path, num_folders: int = 64) -> float:
    """Time what a disk takes for a folder of twelve small files, about what a run leaves, in seconds."""
    start = time.perf_counter()
    for number in range(num_folders):
        place = folder / str(number)
        place.mkdir(parents=True)
        for name in map(str, range(12)):
            (place / name).write_bytes(bytes(2**10))
    return (time.perf_counter() - start) / num_folders


def dashboard_share() -> float:
    """Train the default run and tell how much longer its pictures, histograms and curves take, as a share of training.

    What they import counts, so this has to be asked before anything else draws.
    """
    spent = 0.0

    def timed(method: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: object) -> None:
            nonlocal spent
            start = time.perf_counter()
            method(*arguments)
            spent += time.perf_counter() - start

        return call

    Dashboard.log_epoch, Dashboard.log_end = timed(Dashboard.log_epoch), timed(Dashboard.log_end)  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as name, contextlib.redirect_stdout(io.StringIO()):
        write_folder(Path(name), compose(), [], {})
        train_folders([Path(name)], is_shown=True)
        return spent / float(read_folder(Path(name)).result["seconds"]["training"])


def cold_dashboard_share() -> float:
    """Ask a new process for its `dashboard_share`."""
    return float(subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    print(dashboard_share())
