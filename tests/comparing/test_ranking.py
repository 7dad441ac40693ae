"""Which setting is best, and which cannot be told from it."""

import os

import pytest
from scipy import stats

from fashion_softmax.comparing.ranking import Comparison, compare, find_differing_keys
from fashion_softmax.comparing.runs import read_run
from fashion_softmax.errors import ConfigError
from tests.comparing.conftest import RecordRun


def compare_folders(*folders: os.PathLike[str], metric: str | None = None) -> Comparison:
    from pathlib import Path

    return compare([read_run(Path(folder)) for folder in folders], metric)


def test_seeds_are_averaged_and_settings_ranked(record_run: RecordRun) -> None:
    folders = [record_run(f"ce{seed}", 140 + seed, seed=seed) for seed in range(3)]
    folders += [record_run(f"huber{seed}", 160 + seed, loss="huber", seed=seed) for seed in range(2)]
    comparison = compare_folders(*folders)
    assert [comparison.name(setting) for setting in comparison.settings] == ["huber", "ce"]
    best, other = comparison.settings
    assert best.mean == pytest.approx(0.8025) and other.mean == pytest.approx(0.705)
    assert other.deviation == pytest.approx(0.005) and [run.seed for run in other.runs] == [0, 1, 2]
    assert comparison.keys == ["loss"] and comparison.metric == "test/accuracy"
    assert other.num_images == 200 and best.against_best is None


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
    old, new = record_run("old", 100), record_run("new", 150)
    os.utime(old / "result.json", (1, 1))
    comparison = compare_folders(old, new)
    assert comparison.num_repeated == 1 and [run.path for run in comparison.runs] == [new]


def test_unfinished_runs_are_listed_and_not_ranked(record_run: RecordRun) -> None:
    folders = [record_run("a"), record_run("b", 199, lr=0.2, state="diverged"), record_run("c", seed=1, state="killed")]
    comparison = compare_folders(*folders)
    assert [run.path.name for run in comparison.runs] == ["a"]
    assert [(run.path.name, run.state) for run in comparison.unfinished] == [("b", "diverged"), ("c", "killed")]


def test_pairs_of_equal_seeds_are_tested_and_the_least_favourable_counts(record_run: RecordRun) -> None:
    folders = []
    for seed, (best, other) in enumerate([(190, 150), (185, 180), (190, 160)]):
        folders.append(record_run(f"best{seed}", best, seed=seed, first_wrong=0))
        folders.append(record_run(f"other{seed}", other, lr=0.5, seed=seed, first_wrong=100))
    setting = compare_folders(*folders).settings[1]
    test = setting.against_best
    assert test is not None and setting.test_seed == 1 and (test.only_first, test.only_second) == (20, 15)
    assert test.p_value == pytest.approx(stats.binomtest(20, 35).pvalue) and setting.is_like_best


def test_a_setting_that_is_clearly_worse_is_told_apart(record_run: RecordRun) -> None:
    setting = compare_folders(record_run("a", 190), record_run("b", 120, lr=0.5)).settings[1]
    assert setting.against_best is not None and not setting.is_like_best


def test_runs_on_other_images_are_not_tested(record_run: RecordRun) -> None:
    other = {"_target_": "fashion_softmax.data.load_idx", "root": "elsewhere"}
    setting = compare_folders(record_run("a", 190), record_run("b", 120, dataset=other)).settings[1]
    assert setting.against_best is None and not setting.is_like_best


def test_keys_differ_only_within_an_option() -> None:
    huber = {"loss": "huber", "loss.delta": 0.5, "optimizer.lr": 0.1, "dtype": "float32", "seed": 1}
    ce = {"loss": "ce", "loss.label_smoothing": 0.0, "optimizer.lr": 0.1, "seed": 2}
    assert find_differing_keys([huber, ce]) == ["loss"]
    assert find_differing_keys([huber, ce, huber | {"loss.delta": 1.0}]) == ["loss", "loss.delta"]
    assert find_differing_keys([ce | {"optimizer": "sgd"}, ce | {"optimizer": "sgd", "optimizer.nesterov": True}]) == [
        "optimizer.nesterov"
    ]
    assert find_differing_keys([huber, {}]) == []
