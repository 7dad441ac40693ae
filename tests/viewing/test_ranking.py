"""Which setting is best, and which cannot be told from it."""

import os

import pytest
from scipy import stats

from fashion_softmax.errors import ConfigError
from fashion_softmax.viewing.ranking import Comparison, compare, find_differing_keys
from fashion_softmax.viewing.runs import read_run
from tests.viewing.conftest import RecordRun, write


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
    setting = compare_folders(*folders).settings[1]
    assert [test.seed for test in setting.tests] == [2, 1, 0]  # from the weakest evidence for the best
    test = setting.against_best
    assert test is not None and (test.only_first, test.only_second) == (20, 15)
    assert test.p_value == pytest.approx(stats.binomtest(20, 35).pvalue)
    assert setting.is_like_best and setting.num_worse == 1


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


def test_runs_without_a_readable_configuration_are_settings_of_their_own(record_run: RecordRun) -> None:
    folders = [record_run("a", 150), record_run("b", 160), record_run("c", 170)]
    for folder in folders[:2]:
        (folder / ".hydra" / "config.yaml").write_text("a: &a [1]\nb: *a\n", encoding="utf-8")
    comparison = compare_folders(*folders)
    assert comparison.num_repeated == 0 and [len(setting.runs) for setting in comparison.settings] == [1, 1, 1]


def test_toy_images_of_another_kind_are_other_images(record_run: RecordRun) -> None:
    toy = {"_target_": "fashion_softmax.data.make_synthetic", "noise_std": 0.1}
    folders = [record_run("a", 190, dataset=toy), record_run("b", 120, dataset=toy | {"noise_std": 0.2})]
    assert compare_folders(*folders).settings[1].against_best is None


def test_losses_of_several_kinds_are_no_common_yardstick(record_run: RecordRun) -> None:
    folders = [record_run("a"), record_run("b", loss="huber")]
    assert "test/cross_entropy can" in compare_folders(*folders, metric="test/loss").reason


def test_best_run_is_that_with_the_best_value(record_run: RecordRun) -> None:
    folders = [record_run(f"a{seed}", num_correct, seed=seed) for seed, num_correct in enumerate([150, 170, 160])]
    assert compare_folders(*folders).settings[0].best_run.seed == 1
