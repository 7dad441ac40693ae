"""Make every picture that a user sees, to be looked at: terminals, figures, the report page, TensorBoard in a browser.

python scripts/gallery.py            all of them, into build/gallery
python scripts/gallery.py --docs     and those that the pages in docs/ show into docs/images

It needs Fashion-MNIST, and Chromium for what a browser shows. It trains in a copy of the project, in build/gallery.
"""

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import make_parser, script
from PIL import Image
from terminal import draw, record

from fashion_softmax.errors import MachineError

ROOT = Path(__file__).parents[1]
GALLERY = ROOT / "build" / "gallery"
PROJECT = GALLERY / "project"
PARTS = ("conf", "docs", "fashion_softmax", "hydra_plugins", "scripts", "train.py")
GRID = "-m loss=ce,mse,huber optimizer.lr=0.03,0.1,0.3,1.0 seed=0,1,2"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WAIT_MS = 8000  # until TensorBoard has drawn

# Name -> command, and the columns of its terminal. `sweep` is shown as it moves, the others as they end.
TERMINALS = {
    "run": ("train.py", 80),
    "sweep": (f"train.py {GRID}", 80),
    "sweep_200": (f"train.py {GRID} hydra.sweep.dir=outputs/study", 200),
    "losses": ("train.py -m loss=ce,mse,huber hydra.sweep.dir=outputs/losses", 80),
    "plan": (f"train.py {GRID} sweep.dry_run=true", 80),
    "compare": ("scripts/compare_runs.py outputs/study", 80),
    "compare_200": ("scripts/compare_runs.py outputs/study", 200),
    "by": ("scripts/compare_runs.py outputs/study --by loss", 80),
    "help": ("train.py --help", 80),
    "mistake": ("train.py lr=0.1", 80),
}
# Name of the picture -> command that makes it; {} is its file.
FIGURES = {
    "all_losses": "scripts/plot_losses.py --output {}",
    "losses": "scripts/plot_losses.py loss=mse,l1,huber --output {}",
    "scores": "scripts/plot_losses.py loss=ce,margin --output {}",
    "losses_compared": "scripts/plot_losses.py --compare --output {}",
    "samples": "scripts/show_samples.py --rows 3 --columns 6 --output {}",
    "predictions": "scripts/predict.py outputs/runs --rows 3 --columns 5 --output {}",
    "mistakes": "scripts/predict.py outputs/runs --wrong --output {}",
    "picture": "scripts/predict.py outputs/runs docs/images/boot.png --output {}",
    "calibration": "scripts/predict.py outputs/runs --calibration --output {}",
    "inspection": "scripts/inspect_model.py outputs/runs --image 12 --output {}",
    "curves": "scripts/compare_runs.py outputs/runs --png {}",
    "curves_of_many": "scripts/compare_runs.py outputs/study --png {}",
}
# Name of the picture -> folder, tab of TensorBoard, width, height, and what is pressed there.
BOARDS = {
    "timeseries": ("study", "timeseries", 1400, 1000, ""),
    "hparams": ("study", "hparams", 1400, 1000, ""),
    "coordinates": ("study", "hparams", 1500, 600, "PARALLEL COORDINATES VIEW"),
    "custom_scalars": ("losses", "custom_scalars", 1520, 430, ""),
    "images": ("runs", "images", 1400, 1000, ""),
    "text": ("runs", "text", 1400, 1000, ""),
}
# Name in docs/images -> file of the gallery.
SHOWN = {
    "tensorboard.png": "tensorboard_custom_scalars.png",
    "hparams.png": "tensorboard_coordinates.png",
    "sweep.svg": "sweep.svg",
    "report.png": "report_1280.png",
    "calibration.png": "calibration.png",
}
IN_THE_LESSON = ["curves", "inspection", "losses", "losses_compared", "picture", "predictions", "samples", "scores"]


def main() -> None:
    """Train what is shown, make the pictures, say where they are."""
    parser = make_parser(__doc__)
    parser.add_argument("--docs", action="store_true", help="put what the pages show into docs/images")
    options = parser.parse_args()
    with script():
        shutil.rmtree(GALLERY, ignore_errors=True)
        PROJECT.mkdir(parents=True)
        for part in PARTS:
            (shutil.copytree if (ROOT / part).is_dir() else shutil.copy)(ROOT / part, PROJECT / part)
        for name in (".venv", "data"):
            (PROJECT / name).symlink_to(ROOT / name)
        for name, (command, columns) in TERMINALS.items():
            frames = record(
                [".venv/bin/python", *shlex.split(command)], PROJECT, os.environ, columns=columns, rows=60,
                expected=(0, 2) if name == "mistake" else (0,),
            )  # fmt: skip
            text = draw(frames if name == "sweep" else frames[-1:], f"python {command}", speed=2)
            (GALLERY / f"{name}.svg").write_text(text, encoding="utf-8")
        for name, command in FIGURES.items():
            run(command.format(GALLERY / f"{name}.png"))
        run(f"scripts/compare_runs.py outputs/study --html {GALLERY / 'report.html'}")
        with open_browser() as browser:
            look(browser)
        if options.docs:
            for name, source in (SHOWN | {f"lesson_{name}.png": f"{name}.png" for name in IN_THE_LESSON}).items():
                publish(GALLERY / source, ROOT / "docs" / "images" / name)
        print(f"{len(list(GALLERY.glob('*.*')))} pictures and pages in {GALLERY}")


def publish(source: Path, path: Path) -> None:
    """Copy a picture, one of pixels with fewer colours: a third of its size, and nobody sees it."""
    if source.suffix == ".png":
        with Image.open(source) as picture:
            picture.convert("RGB").quantize(method=Image.Quantize.FASTOCTREE).save(path, optimize=True)
    else:
        shutil.copy(source, path)


def run(command: str) -> None:
    """Run a script of the copied project.

    Raises:
        MachineError: it failed.
    """
    result = subprocess.run([".venv/bin/python", *shlex.split(command)], cwd=PROJECT, capture_output=True, text=True)
    if result.returncode:
        raise MachineError(f"{command}: ended with {result.returncode}: {result.stderr.strip()[-500:]}")


@contextlib.contextmanager
def open_browser() -> Iterator[Any]:
    """Start the machine's own Chromium.

    Raises:
        MachineError: there is none.
    """
    from playwright.sync_api import sync_playwright

    if not (path := next(filter(None, map(shutil.which, BROWSERS)), None)):
        raise MachineError(f"no browser was found ({', '.join(BROWSERS)})")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=path, args=["--no-sandbox"] if os.geteuid() == 0 else [])


def look(browser: Any) -> None:
    """Take pictures of the page, of TensorBoard, and of the terminals."""

    def take(
        name: str, address: str, width: int, height: int, wait_ms: int = 500, *, whole: bool = False, press: str = ""
    ) -> None:
        page = browser.new_page(viewport={"width": width, "height": height})
        page.goto(address)
        page.wait_for_timeout(wait_ms)
        if press:
            page.get_by_text(press).click()
            page.wait_for_timeout(wait_ms)
        page.screenshot(path=GALLERY / f"{name}.png", full_page=whole)
        page.close()

    report = (GALLERY / "report.html").as_uri()
    take("report_1280", report, 1280, 1180)
    take("report_1280_whole", report, 1280, 900, whole=True)
    take("report_400", report, 400, 800)
    take("report_400_whole", report, 400, 800, whole=True)
    for name in TERMINALS:
        take(f"{name}_end", (GALLERY / f"{name}.svg").as_uri(), 1760 if "200" in name else 760, 1000)
    for folder in dict.fromkeys(place for place, *_ in BOARDS.values()):
        command = [sys.executable, "-m", "tensorboard.main", "--logdir", f"outputs/{folder}", "--host", "127.0.0.1"]
        with subprocess.Popen(command, cwd=PROJECT, stderr=subprocess.PIPE, text=True) as board:
            assert board.stderr is not None
            address = next(line for line in board.stderr if " at http" in line).split(" at ")[1].split()[0]
            for name, (place, tab, width, height, press) in BOARDS.items():
                if place == folder:
                    take(f"tensorboard_{name}", f"{address}#{tab}", width, height, WAIT_MS, press=press)
            board.terminate()


if __name__ == "__main__":
    main()
