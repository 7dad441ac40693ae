"""The page in a real browser: it sorts, filters and draws, asks nothing of any host, and fits a small screen."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fashion_softmax.viewing.ranking import compare
from fashion_softmax.viewing.report import make_report
from fashion_softmax.viewing.runs import read_runs
from tests.viewing.conftest import RecordRun, write
from tests.viewing.test_report import HOSTILE, MARKUP, TOY

pytestmark = pytest.mark.browser
LEADERBOARD = "#ranking tbody tr"
LINES = "#curve-chart .lines .line"

Open = Callable[..., Any]


@pytest.fixture
def open_page(browser: Any, keep_picture: Callable[[Any], None], tmp_path: Path) -> Iterator[Open]:
    """Show the page of all runs; when the test is over, nothing was asked of a host and nothing went wrong."""
    problems: list[str] = []
    pages = []

    def open_report(width: int = 1280, color_scheme: str = "light") -> Any:
        path = tmp_path / "report.html"
        path.write_bytes(make_report(compare(read_runs([tmp_path]))).encode())
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=color_scheme)
        page.set_default_timeout(5000)
        pages.append(page)
        page.on("request", lambda request: problems.append(request.url) if is_foreign(request.url, path) else None)
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("dialog", lambda dialog: problems.append(dialog.message))
        page.goto(path.as_uri())
        return page

    yield open_report
    for page in pages:
        keep_picture(page)
        page.close()
    assert problems == []


def is_foreign(url: str, path: Path) -> bool:
    return not url.startswith("data:") and url.partition("#")[0] != path.as_uri()


@pytest.fixture
def runs(record_run: RecordRun) -> None:
    """Four settings of two seeds each, best first: huber 0.5, huber 0.1, ce 0.5, ce 0.1; and one that failed."""
    for place, (loss, lr) in enumerate([("huber", 0.5), ("huber", 0.1), ("ce", 0.5), ("ce", 0.1)]):
        for seed in (0, 1):
            num_correct = 190 - 10 * place + seed
            record_run(f"{loss}{lr}_{seed}", num_correct, loss=loss, lr=lr, seed=seed, dataset=TOY)
    record_run("broken", lr=9.0, state="diverged", dataset=TOY)


def read_ranks(page: Any) -> list[int]:
    return [int(row.split("\t")[0]) for row in page.locator(LEADERBOARD).all_inner_texts()]


def click_title(page: Any, title: str) -> Any:
    page.get_by_role("button", name=title, exact=True).click()
    return page.locator("#ranking th", has=page.get_by_role("button", name=title, exact=True))


@pytest.mark.usefixtures("runs")
def test_table_is_sorted_and_filtered(open_page: Open) -> None:
    page = open_page()
    assert read_ranks(page) == [1, 2, 3, 4] and "Ranked on the test images" in page.locator("#notice").inner_text()
    head = click_title(page, "test accuracy")
    assert head.get_attribute("aria-sort") == "descending" and read_ranks(page) == [1, 2, 3, 4]  # the best first
    click_title(page, "test accuracy")
    assert head.get_attribute("aria-sort") == "ascending" and read_ranks(page) == [4, 3, 2, 1]
    click_title(page, "loss")
    assert read_ranks(page) == [3, 4, 1, 2]  # equal ones keep their rank's order
    page.get_by_role("button", name="optimizer.lr", exact=True).focus()
    page.keyboard.press("Enter")
    assert read_ranks(page) == [2, 4, 1, 3]
    missing_last = page.evaluate("[[null, 1], [1, null], [2, 10], ['b', 'a'], [1, 'a']].map((pair) => "
                                 "[false, true].map((down) => Math.sign(compareValues(...pair, down))))")  # fmt: skip
    assert missing_last == [[1, 1], [-1, -1], [-1, 1], [1, -1], [-1, 1]]
    click_title(page, "#")
    assert page.locator(LINES).count() == 4 and page.locator("#panels circle").count() == 8
    page.fill("#search", "HUBER 0.1")
    assert read_ranks(page) == [2] and page.locator("#count").inner_text() == "1 of 4 settings shown"
    assert page.locator(LINES).count() == 1 and page.locator("#panels circle").count() == 2
    assert page.locator("#legend button").all_inner_texts() == ["huber lr=0.1"]
    page.fill("#search", "")
    page.select_option("select[data-key='loss']", label="ce")
    assert read_ranks(page) == [3, 4] and page.locator(LINES).count() == 2
    page.select_option("select[data-key='optimizer.lr']", label="0.5")
    assert read_ranks(page) == [3]
    page.get_by_role("button", name="Show all").click()
    assert read_ranks(page) == [1, 2, 3, 4] and page.input_value("select[data-key='loss']") == ""
    page.fill("#search", "no such setting")
    assert read_ranks(page) == [] and page.locator(LINES).count() == 0


@pytest.mark.slow
@pytest.mark.usefixtures("runs")
def test_metric_tooltip_and_choice(open_page: Open) -> None:
    page = open_page()
    assert "test accuracy in %" in page.locator("#curve-chart svg").text_content()
    before = page.locator(LINES).first.get_attribute("d")
    page.select_option("#metric", "train/loss")
    assert "train loss" in page.locator("#curve-chart svg").text_content()
    assert page.locator(LINES).first.get_attribute("d") != before
    page.select_option("#metric", "test/accuracy")
    page.locator("#curve-chart").scroll_into_view_if_needed()
    best = page.locator("#curve-chart .line.c0").bounding_box()
    page.mouse.move(best["x"] + best["width"], best["y"])
    tooltip = page.locator("#curve-chart .tooltip").inner_text()
    assert "huber lr=0.5" in tooltip and "epoch 2" in tooltip and "95.25 %" in tooltip
    assert page.locator(f"{LEADERBOARD}.on td").first.inner_text().strip() == "1"
    page.mouse.move(0, 0)
    assert page.locator("#curve-chart .tooltip").is_hidden()
    page.locator(LEADERBOARD).nth(2).click()
    assert "seed 1: 85.50 %" in page.locator("#selected").inner_text()
    assert page.locator("#curve-chart .focus .line").count() == 1
    page.locator(LEADERBOARD).nth(2).press("ArrowUp")
    page.keyboard.press("Enter")
    assert "huber lr=0.1" in page.locator("#selected").inner_text()
    page.locator("#panels circle").first.hover()
    assert "rank" in page.locator("#panels .tooltip:visible").inner_text()


@pytest.mark.slow
@pytest.mark.usefixtures("runs")
def test_page_fits_the_screen(open_page: Open) -> None:
    page = open_page(400, "dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.locator(".scroller").first.evaluate("scroller => scroller.scrollTo(200, 0)")
    first = page.locator(f"{LEADERBOARD} td").first.bounding_box()
    assert first["x"] >= 0  # the first column stays
    assert page.locator("#mistakes img").first.evaluate("image => image.complete && image.naturalWidth") == 28
    assert page.locator("#confusion tbody tr").count() == 10 and page.locator("#groups .group").count() == 2
    assert page.locator("#failures tbody tr").count() == 1
    page.set_viewport_size({"width": 600, "height": 900})
    page.locator("#curve-chart svg[width='558']").wait_for()  # drawn again
    assert page.evaluate("document.documentElement.scrollWidth") <= 600


@pytest.mark.slow
def test_hostile_texts_are_shown_as_they_are(open_page: Open, record_run: RecordRun) -> None:
    image = "<img src=x onerror=alert(1)>"
    record_run("best", 170, loss=image)
    record_run("proto", 160, loss="__proto__")
    record_run("run", loss=MARKUP)
    failed = record_run("bad", state="failed")
    write(failed / "status.json", {"state": "failed", "error": image + HOSTILE * 100})
    page = open_page(400)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert page.locator(f"{LEADERBOARD} td", has_text=MARKUP).count() == 1
    page.locator(LEADERBOARD).first.click()
    assert image in page.locator("#selected").inner_text() and MARKUP in page.locator("#failures").inner_text()
    assert page.locator("img").count() == 0 and page.locator("script").count() == 2


@pytest.mark.slow
def test_nothing_is_empty(open_page: Open, record_run: RecordRun) -> None:
    def list_sections() -> list[str]:
        page = open_page()
        sections = page.locator("section:visible").evaluate_all("sections => sections.map((section) => section.id)")
        assert page.locator("nav a").count() == len(sections) and "NaN" not in page.locator("body").inner_text()
        return list(sections)

    folder = record_run("run")
    for name in ("predictions.npz", "metrics.jsonl"):
        (folder / name).unlink()
    assert list_sections() == ["leaderboard"]
    shutil.rmtree(folder)
    record_run("failed", state="failed")
    assert list_sections() == ["unfinished"]


@pytest.mark.slow
def test_one_epoch_and_many_settings(open_page: Open, record_run: RecordRun) -> None:
    row = {"epoch": 1, "images_seen": 1, "test/accuracy": 0.5}
    for index in range(15):
        folder = record_run(f"run{index}", 100 + index, lr=index / 10)
        (folder / "metrics.jsonl").write_text(json.dumps(row) + "\n", encoding="utf-8")
    page = open_page()
    assert page.locator("#curve-chart .lines circle").count() == 15
    assert page.locator("#curve-chart .lines circle.grey").count() == 3 and page.locator("#legend li").count() == 12
    assert "NaN" not in page.content()


@pytest.mark.slow
def test_what_chose_is_said(open_page: Open, record_run: RecordRun) -> None:
    record_run("a", 150, val_accuracy=0.7)
    record_run("b", 140, lr=0.2, val_accuracy=0.8)
    page = open_page()
    assert page.locator("#notice").is_hidden() and "ranked by val accuracy" in page.locator("#summary").inner_text()
    assert click_title(page, "test accuracy").count() == 1 and read_ranks(page) == [2, 1]  # 0.75, 0.70


@pytest.mark.slow
def test_at_most_nine_columns_until_more_are_asked_for(runs: None, open_page: Open) -> None:
    page = open_page(1280)
    titles = page.locator("#ranking thead th:visible")
    assert titles.count() == 9 and page.locator(".swipe").is_hidden()
    assert page.locator("#ranking").evaluate("table => table.offsetWidth <= table.parentElement.clientWidth")
    shown = [text.splitlines()[0] for text in titles.all_inner_texts()]
    assert shown[:5] == ["#", "loss", "optimizer.lr", "seeds", "test accuracy"] and "p vs. best" in shown
    page.get_by_role("button", name="All ").click()
    assert titles.count() > 9
    page.get_by_role("button", name="Fewer columns").click()
    assert titles.count() == 9


@pytest.mark.slow
def test_a_phone_is_told_that_the_table_moves(runs: None, open_page: Open) -> None:
    page = open_page(400)
    assert page.locator(".swipe").is_visible()
    assert page.locator("body").evaluate("body => body.scrollWidth <= 400")  # only the table moves
