"""What TensorBoard itself makes of runs and sweeps of the real command: its back end, then its pages in a browser."""

import contextlib
import json
import math
import os
import shlex
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fashion_softmax.dashboard.console import tensorboard_command
from tests import forking
from tests.conftest import COMMAND_TIMEOUT_S, ROOT, TINY, write_idx_folder

SWEEP_RUNS = [
    f"sweep/{2 * index + seed:03d}_{name}_seed{seed}"
    for index, name in enumerate(("ce_lr0.1", "ce_lr0.5", "huber_lr0.1", "huber_lr0.5"))
    for seed in (0, 1)
]
# Markdown and HTML that must stay text.
EVIL = "a|b `c` <img src=x onerror=alert(1)> <script>alert(2)<"
PAGE_TIMEOUT_MS = 20_000

Ask = Callable[..., Any]

# One worker has what they share: a sweep, two servers, a browser.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("tensorboard")]


def start(*arguments: str) -> forking.Process:
    return forking.Process([str(ROOT / "train.py"), *arguments], Path.cwd(), os.environ, COMMAND_TIMEOUT_S)


def finish(process: forking.Process, code: int = 0) -> None:
    result = process.wait()
    assert result.returncode == code, result.stderr


@pytest.fixture(scope="session")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of four settings and two seeds, a single run, one that diverges, and one that went on for an epoch."""
    folder = tmp_path_factory.mktemp("outputs")
    images = write_idx_folder(folder.with_name("data") / EVIL)
    grid = ["loss=ce,huber", "optimizer.lr=0.1,0.5", "seed=0,1"]
    sweep = start("-m", *TINY, *grid, f"hydra.sweep.dir={folder}/sweep")
    single = ["dataset=idx", f"dataset.root='{images}'", "trainer.num_epochs=3", "optimizer.lr=0.001"]
    processes = [
        start(*single, f"hydra.run.dir={folder}/single"),
        start(*TINY, "loss=mse", "loss.input=logits", "optimizer.lr=1e8", "trainer.num_epochs=9",
              f"hydra.run.dir={folder}/diverged"),
    ]  # fmt: skip
    finish(start(*TINY, f"hydra.run.dir={folder}/resumed"))
    finish(start(f"resume={folder}/resumed", "trainer.num_epochs=2"))
    for process, code in zip((sweep, *processes), (0, 0, 5), strict=True):
        finish(process, code)
    return folder


@contextlib.contextmanager
def board(command: list[str]) -> Iterator[str]:
    """Start TensorBoard and yield its address once it says it."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        line = next(line for line in process.stderr if " at http" in line)
        yield line.split(" at ")[1].split()[0].rstrip("/")
    finally:
        process.terminate()
        process.communicate(timeout=COMMAND_TIMEOUT_S)


def ask(address: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=COMMAND_TIMEOUT_S) as response:
        return json.loads(response.read())


def read_groups(address: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Read the HParams table: its columns of hyper-parameters, and its rows."""
    experiment = ask(address, "/data/plugin/hparams/experiment", {"experimentName": ""})
    states = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]
    columns = [{"metric": metric["name"]} for metric in experiment["metricInfos"]]
    query = {"experimentName": "", "allowedStatuses": states, "colParams": columns, "startIndex": 0, "sliceSize": 99}
    groups = ask(address, "/data/plugin/hparams/session_groups", query | {"aggregationType": "AGGREGATION_AVG"})
    return experiment["hparamInfos"], groups["sessionGroups"]


def wait_until_loaded(address: str) -> None:
    deadline = time.monotonic() + COMMAND_TIMEOUT_S
    while True:
        sessions = [session for group in read_groups(address)[1] for session in group["sessions"]]
        if len(sessions) == 11 and all(session["status"] != "STATUS_RUNNING" for session in sessions):
            return
        assert time.monotonic() < deadline, sessions
        time.sleep(0.2)


@pytest.fixture(scope="session")
def boards(outputs: Path) -> Iterator[Callable[[str], str]]:
    """Open TensorBoard on the outputs with a loader, `fast` or `slow`, once each."""
    with contextlib.ExitStack() as stack:
        known: dict[str, str] = {}

        def open_board(loader: str) -> str:
            if loader not in known:
                command = [*shlex.split(tensorboard_command(outputs)), "--reload_interval", "1"]
                known[loader] = stack.enter_context(board(command + ["--load_fast=false"] * (loader == "slow")))
                wait_until_loaded(known[loader])
            return known[loader]

        yield open_board


def test_f4_board_takes_the_next_free_port_of_this_machine_only_and_needs_no_folder(tmp_path: Path) -> None:
    with socket.socket() as blocker:
        blocker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a server that just ended still holds it
        with contextlib.suppress(OSError):  # somebody else's is as good
            blocker.bind(("127.0.0.1", 6006))
            blocker.listen()
        with board(shlex.split(tensorboard_command(tmp_path / "not there yet"))) as address:
            host, port = address.removeprefix("http://").split(":")
            assert host == "127.0.0.1" and 6006 < int(port) < 6106
            assert ask(address, "/data/runs") == []


@pytest.mark.parametrize("loader", ["fast", "slow"])
def test_table_has_a_row_for_each_setting_with_means_over_seeds(
    boards: Callable[[str], str], outputs: Path, loader: str
) -> None:
    address = boards(loader)
    columns, groups = read_groups(address)
    types = {column["name"]: column["type"] for column in columns}
    assert types["loss"] == types["model"] == "DATA_TYPE_STRING" and "seed" not in types
    assert types["optimizer.lr"] == types["trainer.num_epochs"] == "DATA_TYPE_FLOAT64"
    rows = {tuple(sorted(session["name"] for session in group["sessions"])): group for group in groups}
    pairs = [tuple(SWEEP_RUNS[index : index + 2]) for index in range(0, 8, 2)]
    assert rows.keys() == {*pairs, ("single",), ("diverged",), ("resumed",)}
    statuses = {session["name"]: session["status"] for group in groups for session in group["sessions"]}
    assert statuses.pop("diverged") == "STATUS_FAILURE" and set(statuses.values()) == {"STATUS_SUCCESS"}
    for pair in pairs:
        loss, lr = pair[0].removeprefix("sweep/").split("_")[1:3]
        assert rows[pair]["hparams"]["loss"] == loss
        assert rows[pair]["hparams"]["optimizer.lr"] == float(lr.removeprefix("lr"))
        assert rows[pair]["name"].startswith(f"{loss} {lr.replace('lr', 'lr=')} ")
        results = [json.loads((outputs / name / "result.json").read_text(encoding="utf-8")) for name in pair]
        values = {metric["name"]["tag"]: metric["value"] for metric in rows[pair]["metricValues"]}
        for tag, values_of_runs in {
            "test/accuracy": [result["objective"] for result in results],
            "best/test_accuracy": [result["best"]["objective"] for result in results],
            "best/test_loss": [result["best"]["loss"] for result in results],
            "time/total_s": [result["seconds"]["total"] for result in results],
            "time/training_s": [result["seconds"]["training"] for result in results],
        }.items():
            assert math.isclose(values[tag], sum(values_of_runs) / 2, rel_tol=1e-6)
    assert rows[("resumed",)]["hparams"]["trainer.num_epochs"] == 2


@pytest.mark.parametrize("loader", ["fast", "slow"])
def test_runs_have_their_own_tags_and_no_other_runs_appear(boards: Callable[[str], str], loader: str) -> None:
    address = boards(loader)
    assert set(ask(address, "/data/runs")) == {*SWEEP_RUNS, "single", "diverged", "resumed"}
    tags = ask(address, "/data/plugin/timeseries/tags")
    scalars = tags["scalars"]["runTagInfo"]
    assert {"train/loss", "test/accuracy", "lr", "best/test_accuracy", "time/total_s"} <= set(scalars[SWEEP_RUNS[0]])
    assert "time/total_s" not in scalars["diverged"]
    assert set(tags["histograms"]["runTagInfo"]) == {"single", "diverged", "resumed"}
    runs_of_images = {tag: set(runs) for tag, runs in tags["images"]["tagRunSampledInfo"].items()}
    assert runs_of_images["weights/templates"] == {"single", "diverged", "resumed"}
    assert "single" in runs_of_images["test_images/confusion_matrix"]
    categories = ask(address, "/data/plugin/custom_scalars/layout")["category"]
    assert [category["title"] for category in categories] == ["train beside test"]


@pytest.mark.parametrize("loader", ["fast", "slow"])
def test_run_that_went_on_has_every_epoch_and_its_end_once(boards: Callable[[str], str], loader: str) -> None:
    address = boards(loader)
    for tag, steps in {"test/accuracy": [256, 512], "time/total_s": [512]}.items():
        points = ask(address, f"/data/plugin/scalars/scalars?run=resumed&tag={tag}")
        assert [point[1] for point in points] == steps
    for tag, steps in {"weights/templates": [256, 512], "test_images/confusion_matrix": [512]}.items():
        images = ask(address, f"/data/plugin/images/images?run=resumed&tag={tag}")
        assert [image["step"] for image in images] == steps
    texts = ask(address, "/data/plugin/text/text?run=resumed&tag=overrides/text_summary")
    assert len(texts) == 1 and "trainer.num_epochs=2" in texts[0]["text"]


@pytest.mark.parametrize("loader", ["fast", "slow"])
def test_f3_names_and_values_stay_text(boards: Callable[[str], str], loader: str) -> None:
    address = boards(loader)
    for tag in ("config", "overrides"):
        (shown,) = ask(address, f"/data/plugin/text/text?run=single&tag={tag}/text_summary")
        assert "<img" not in shown["text"] and "<script" not in shown["text"] and "onerror" in shown["text"]


@pytest.fixture
def page(browser: Any, boards: Callable[[str], str], keep_picture: Callable[[Any], None]) -> Iterator[Any]:
    """A page of TensorBoard's that may ask no other machine and must print no error; its picture is kept."""
    address = boards("fast")
    page = browser.new_page(viewport={"width": 1500, "height": 1100}, base_url=address)
    page.set_default_timeout(PAGE_TIMEOUT_MS)
    complaints: list[str] = []

    def stay_here(route: Any) -> None:
        if route.request.url.startswith((address, "data:", "blob:")):
            route.continue_()
        else:
            complaints.append(route.request.url)
            route.abort()

    page.route("**/*", stay_here)
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
    yield page
    keep_picture(page)
    page.close()
    assert not complaints


@pytest.mark.browser
def test_page_time_series_shows_runs_and_curves(page: Any) -> None:
    page.goto("/?tagFilter=accuracy%7Closs#timeseries")
    page.locator("scalar-card").nth(3).wait_for()
    page.locator("line-chart canvas").nth(3).wait_for()
    page.wait_for_load_state("networkidle")
    names = page.locator("runs-data-table tb-data-table-content-row").all_inner_texts()
    for run in (*SWEEP_RUNS, "single", "diverged", "resumed"):
        assert any(run in name for name in names)


@pytest.mark.browser
def test_page_hparams_shows_settings_and_metrics(page: Any) -> None:
    page.goto("/#hparams")
    cells = page.locator("tf-hparams-table-view vaadin-grid-cell-content")
    cells.filter(has_text="huber").first.wait_for()
    texts = [text.strip() for text in cells.all_inner_texts()]
    assert {"loss", "optimizer.lr", "best/test_accuracy", "Trial ID"} <= set(texts)
    assert texts.count("huber") == 2 and {"ce", "mse", "0.10000", "0.50000", "1.0000e+8"} <= set(texts)


@pytest.mark.browser
def test_page_hparams_draws_every_setting(page: Any) -> None:
    page.goto("/#hparams")
    page.get_by_text("Parallel coordinates view").click()
    lines = page.locator("tf-hparams-parallel-coords-plot g.foreground path")
    lines.nth(6).wait_for(state="attached")
    assert lines.count() == 7
    page.get_by_text("Scatter plot matrix view").click()
    page.locator("tf-hparams-scatter-plot-matrix-plot .data-marker").nth(5).wait_for(state="attached")


@pytest.mark.browser
def test_page_custom_scalars_draws_train_beside_test(page: Any) -> None:
    page.goto("/#custom_scalars")
    charts = page.locator("tf-custom-scalar-multi-line-chart-card")
    charts.nth(2).locator("vz-line-chart2 svg path.line, vz-line-chart2 canvas").first.wait_for(state="attached")
    assert charts.count() == 3


@pytest.mark.browser
def test_page_images_shows_pictures(page: Any) -> None:
    page.goto("/#images")
    picture = page.locator("tf-image-loader img")
    picture.nth(2).wait_for()
    page.wait_for_function(
        """() => {
            const found = [];
            const walk = root => root.querySelectorAll('*').forEach(element => {
                if (element.localName === 'img') found.push(element);
                if (element.shadowRoot) walk(element.shadowRoot);
            });
            walk(document);
            return found.filter(image => image.naturalWidth > 150).length >= 3;
        }"""
    )


@pytest.mark.browser
def test_page_text_shows_html_as_text(page: Any) -> None:
    page.goto("/?#text")
    page.locator("tf-text-loader", has_text="onerror").first.wait_for()
    assert page.locator("tf-text-loader img").count() == 0
