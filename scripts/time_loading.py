"""Time one pass over the training images as the lesson does: its pipeline, image by image, beside ours.

python scripts/time_loading.py
python scripts/time_loading.py dataset.resize=64 dataset.batch_size=64 --workers 0 2
"""

import time
import warnings
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from common import add_overrides, compose_checked, load_dataset, make_parser, read_options, script, whole_number
from rich.table import Table

from fashion_softmax.dashboard.console import count, make_console

if TYPE_CHECKING:
    from fashion_softmax.data import Dataset, Split

WORKERS = [0, 1, 2, 4]  # the lesson has 4


class Pictures:
    """A split as torchvision's data sets are: each image becomes a picture of Pillow's, and is transformed alone.

    Args:
        split: the images.
        transform: of a picture.
    """

    def __init__(self, split: "Split", transform: Callable[[Any], Any]) -> None:
        import torch
        from PIL import Image

        from fashion_softmax.dashboard.pictures import to_pixels

        self.make_picture = Image.fromarray
        self.pixels = torch.from_numpy(to_pixels(split.images.numpy()))
        self.labels = split.labels
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.transform(self.make_picture(self.pixels[index].numpy())), int(self.labels[index])


def main() -> None:
    """Time each pipeline with each number of workers, print the table."""
    parser = make_parser(__doc__)
    add_overrides(parser)
    help_text = "processes that prepare batches (default: 0 1 2 4)"
    parser.add_argument("--workers", type=whole_number(0), nargs="+", default=WORKERS, metavar="N", help=help_text)
    options = read_options(parser)
    with script():
        config = compose_checked(options.overrides)
        dataset = load_dataset(config)
        # Pictures of dataset=folder have their size since they were decoded.
        is_resized = config["dataset"].get("resize") is not None and "fit" not in config["dataset"]
        original = load_dataset({"dataset": {**config["dataset"], "resize": None}}) if is_resized else dataset
        warnings.filterwarnings("ignore", message="This DataLoader will create")  # four workers, whatever the machine
        console, rows = make_console(), []
        pipelines = {"image by image": load_as_the_lesson(dataset, original), "whole batches": load_as_we_do(dataset)}
        for name, load in pipelines.items():
            for workers in dict.fromkeys(options.workers):
                with console.status(f"{name}, {count(workers, 'worker')}"):
                    rows.append((name, workers, time_pass(load(workers))))
        size = " x ".join(map(str, dataset.image_shape[1:]))
        num_batches = -(-len(dataset.train) // dataset.batch_size)
        print(f"{len(dataset.train)} training images of {size}, {num_batches} batches of {dataset.batch_size}")
        console.print(make_table(rows, len(dataset.train)))
        print(f"ratio: times faster than {rows[0][0]}, the lesson's way, at its fastest; the lesson has 4 workers")
        if is_resized:
            print("image by image resizes in each pass; whole batches are resized once, when the data set is loaded")


def load_as_the_lesson(dataset: "Dataset", original: "Dataset") -> Callable[[int], Iterable[Any]]:
    """Prepare the lesson's batches, by number of workers: each image is transformed alone, in every pass anew.

    Args:
        dataset: as a run sees it.
        original: the same before it was resized.
    """
    from torch.utils.data import DataLoader
    from torchvision import transforms

    transform: Callable[[Any], Any] = transforms.ToTensor()
    if dataset is not original:
        transform = transforms.Compose([transforms.Resize(dataset.image_shape[1:]), transform])
    pictures: Any = Pictures(original.train, transform)
    return lambda num_workers: DataLoader(pictures, dataset.batch_size, shuffle=True, num_workers=num_workers)


def load_as_we_do(dataset: "Dataset") -> Callable[[int], Iterable[Any]]:
    """Prepare our batches, by number of workers: a batch is one index operation and one conversion."""
    from fashion_softmax.data import Batches

    return lambda num_workers: Batches(dataset.train, dataset.batch_size, seed=0, num_workers=num_workers).epoch(0)


def time_pass(batches: Iterable[Any]) -> float:
    """Draw all batches and return the seconds it took, the start of the workers included."""
    start = time.perf_counter()
    for _ in batches:
        pass
    return time.perf_counter() - start


def make_table(rows: list[tuple[str, int, float]], num_images: int) -> Table:
    """Show each pass beside the fastest one of the lesson's pipeline.

    Args:
        rows: name, workers and seconds of each pass, the lesson's first.
        num_images: of a pass.
    """
    lesson = rows[0][0]
    fastest = min(seconds for name, _, seconds in rows if name == lesson)
    table = Table("batches")
    for column in ("workers", "seconds", "images/s", "ratio"):
        table.add_column(column, justify="right")
    for index, (name, workers, seconds) in enumerate(rows):
        ends_section = rows[min(index + 1, len(rows) - 1)][0] != name
        figures = f"{seconds:.3f}", f"{num_images / seconds:,.0f}", f"{fastest / seconds:.1f}"
        table.add_row(name, str(workers), *figures, end_section=ends_section)
    return table


if __name__ == "__main__":
    main()
