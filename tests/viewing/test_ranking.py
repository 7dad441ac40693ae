"""Which setting is best, and which cannot be told from it."""

from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from fashion_softmax.config.settings import find_hyperparameters
from fashion_softmax.errors import ConfigError
from fashion_softmax.runs.records import read_folder
from fashion_softmax.viewing.ranking import Comparison, compare, find_differing_keys
from tests.viewing.conftest import RecordRun, write


def compare_folders(*folders: Path, metric: str | None = None) -> Comparison:
    return compare([read_folder(folder) for folder in folders], metric)


def test_seeds_are_averaged_and_settings_ranked(record_run: RecordRun) -> None:
    folders = [record_run(f"ce{seed}", 140 + seed, seed=seed) for seed in range(3)]
    folders += [record_run(f"huber{seed}", 160 + seed, loss="huber", seed=seed) for seed in range(2)]
    comparison = compare_folders(*folders)
    assert [setting.name for setting in comparison.settings] == ["huber", "ce"]
    best, other = comparison.settings
    assert best.mean == pytest.approx(0.8025) and other.mean == pytest.approx(0.705)
    assert other.deviation == pytest.approx(0.005) and [run.seed for run in other.runs] == [0, 1, 2]
    assert comparison.keys == ["loss"] and comparison.metric == "test/accuracy"
    assert other.num_images == 200 and best.against_best is None and best.best_run.seed == 1


def test_validation_accuracy_ranks_where_all_have_it(record_run: RecordRun) -> None:
    first = record_run("a", 150, lr=0.1, val_accuracy=0.7)
    second = record_run("b", 140, lr=0.2, val_accuracy=0.8)
    comparison = compare_folders(first, second)
    assert comparison.metric == "val/accuracy" and comparison.settings[0].runs[0].path == second
    third = record_run("c", 199, lr=0.3)
    comparison = compare_folders(first, second, third)
    assert comparison.metric == "test/accuracy" and "only 2 of 3" in comparison.reason


def test_a_metric_may_be_asked_for(record_run: RecordRun) -> None:
    folders = [record_run("a", lr=0.1), record_run("b", lr=0.2)]
    assert compare_folders(*folders, metric="lr").settings[0].mean == 0.1  # the smallest first
    with pytest.raises(ConfigError, match="no run has it; they have lr, test/accuracy"):
        compare_folders(*folders, metric="accuracy")


def test_the_same_run_again_does_not_count_twice(record_run: RecordRun) -> None:
    old, new = record_run("z_old", 100), record_run("a_new", 150)
    for folder, started in ((old, "2026-01-01T00:00:00+00:00"), (new, "2026-01-02T00:00:00+00:00")):
        write(folder / "status.json", {"state": "completed", "started": started})
    comparison = compare_folders(old, new)
    assert comparison.num_repeated == 1 and [run.path for run in comparison.runs] == [new]


def test_unfinished_runs_are_listed_and_not_ranked(record_run: RecordRun) -> None:
    folders = [record_run("a"), record_run("b", 199, lr=0.2, state="diverged"), record_run("c", seed=1, state="failed")]
    comparison = compare_folders(*folders)
    assert [run.path.name for run in comparison.runs] == ["a"]
    assert [(run.path.name, run.state) for run in comparison.unfinished] == [("b", "diverged"), ("c", "failed")]


def test_pairs_of_equal_seeds_are_tested_and_the_middle_one_counts(record_run: RecordRun) -> None:
    folders = []
    for seed, (best, other) in enumerate([(190, 150), (185, 180), (180, 190)]):
        folders.append(record_run(f"best{seed}", best, seed=seed, first_wrong=0))
        folders.append(record_run(f"other{seed}", other, lr=0.5, seed=seed, first_wrong=100))
    test = compare_folders(*folders).settings[1].against_best
    assert test is not None and (test.seed, test.only_best_correct, test.only_this_correct) == (1, 20, 15)
    assert test.p_value == pytest.approx(stats.binomtest(20, 35).pvalue)
    assert not test.distinguishable and (test.num_seeds, test.num_seeds_best_better) == (3, 1)
    alone = compare_folders(folders[0], folders[1]).settings[1].against_best
    assert alone is not None and alone.distinguishable


TOY = {"_target_": "fashion_softmax.data.make_synthetic", "noise_std": 0.1}
ELSEWHERE = {"_target_": "fashion_softmax.data.load_idx", "root": "elsewhere"}


@pytest.mark.parametrize(("one", "other"), [(TOY, ELSEWHERE), (TOY, TOY | {"noise_std": 0.2})])
def test_runs_on_other_images_are_not_tested(record_run: RecordRun, one: dict[str, Any], other: dict[str, Any]) -> None:
    folders = [record_run("a", 190, dataset=one), record_run("b", 120, dataset=other)]
    assert compare_folders(*folders).settings[1].against_best is None


def test_keys_differ_only_within_an_option() -> None:
    huber = {"loss": "huber", "loss.delta": 0.5, "optimizer.lr": 0.1, "dtype": "float32", "seed": 1}
    ce = {"loss": "ce", "loss.label_smoothing": 0.0, "optimizer.lr": 0.1, "seed": 2}
    assert find_differing_keys([huber, ce]) == ["loss"]
    assert find_differing_keys([huber, ce, huber | {"loss.delta": 1.0}]) == ["loss", "loss.delta"]
    assert find_differing_keys([ce | {"optimizer": "sgd"}, ce | {"optimizer": "sgd", "optimizer.nesterov": True}]) == [
        "optimizer.nesterov"
    ]
    assert find_differing_keys([huber, {}]) == []


def test_runs_without_a_readable_configuration_are_settings_of_their_own(record_run: RecordRun) -> None:
    folders = [record_run("a", 150), record_run("b", 160), record_run("c", 170)]
    for folder in folders[:2]:
        (folder / ".hydra" / "config.yaml").write_text("a: &a [1]\nb: *a\n", encoding="utf-8")
    comparison = compare_folders(*folders)
    assert comparison.num_repeated == 0 and [len(setting.runs) for setting in comparison.settings] == [1, 1, 1]


def test_losses_of_several_kinds_are_no_common_yardstick(record_run: RecordRun) -> None:
    folders = [record_run("a"), record_run("b", loss="huber")]
    assert "test/cross_entropy can" in compare_folders(*folders, metric="test/loss").reason


@pytest.mark.parametrize(("val_size", "num_images"), [(50, {}), (0.25, {"num_images": {"val": 50, "test": 200}})])
def test_validation_images_are_counted_from_a_number_and_from_a_fraction(
    record_run: RecordRun, val_size: float, num_images: dict[str, Any]
) -> None:
    dataset = {"_target_": "fashion_softmax.data.load_published", "name": "mnist", "val_size": val_size}
    folder = record_run("run", val_accuracy=0.8, dataset=dataset)
    write(folder / "result.json", read_folder(folder).result | num_images)
    (setting,) = compare([read_folder(folder)]).settings
    assert setting.num_images == 50 and setting.interval_images is not None


@pytest.mark.parametrize(
    ("dataset", "option", "name"),
    [
        ({"_target_": "a.load_idx", "root": "/home/me/my pictures/"}, "idx", "idx my pictures"),
        ({"_target_": "a.load_idx", "root": "/somewhere/kmnist"}, "kmnist", "kmnist"),
        ({"_target_": "a.load_published", "name": "mnist", "root": "/somewhere/else"}, "mnist", "mnist"),
        ({"_target_": "a.make_synthetic"}, "synthetic", "synthetic"),
        ({"root": "/somewhere"}, None, None),
    ],
)
def test_a_data_set_of_ones_own_is_named_by_its_folder(
    dataset: dict[str, str], option: str | None, name: str | None
) -> None:
    choices = {"dataset": option} if option else {}
    assert find_hyperparameters({"dataset": dataset}, choices).get("dataset") == name
