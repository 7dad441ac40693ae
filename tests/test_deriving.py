"""Derived jobs beside Hydra's own: content, node types, flags, caches and errors; and how often Hydra composes."""

import copy
import dataclasses
import enum
import functools
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import ConfigCompositionException
from hydra.types import RunMode
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import MISSING, DictConfig, OmegaConf, open_dict
from omegaconf.base import Node

from fashion_softmax.config import deriving
from fashion_softmax.config.deriving import JobComposer
from fashion_softmax.config.explain import explain
from fashion_softmax.config.schema import COMPONENTS, CONFIG_DIR, register

GROUPS = [*COMPONENTS, "experiment"]
OPTIONS = [[f"{group}={path.stem}" for path in sorted((CONFIG_DIR / group).glob("*.yaml"))] for group in GROUPS]

# Overrides of a job, separated by bars.
JOBS = [
    "",
    # values
    "seed=1 | seed=2 | seed=0x10 | ++seed=4 | seed='5'",
    "seed=${trainer.num_epochs} | device=null | optimizer.lr=0.5 | dataset.root=",
    "device=??? | optimizer.lr=1e-3 | optimizer.weight_decay=.5 | dataset.root=true | dataset.mirror='0.5'",
    "device='a,b: {c}' | optimizer.lr=inf | optimizer.weight_decay=nan | dataset.root=a b/c.d-e@f%g",
    "optimizer.lr=[1,2.5,null,'a b',[x]] | optimizer.weight_decay={a:1,b:{c:[1,{d:2}]}} | dataset.root=null",
    "optimizer.lr=int(3.7) | dataset.root=str([1]) | dataset.resize=sort([32,16]) | dataset.resize.0=64",
    "trainer={num_epochs:3} | ++trainer.num_epochs=4 | trainer.num_epochs=5",
    # interpolations
    "optimizer.lr=${.weight_decay} | optimizer.weight_decay=${trainer.num_epochs} | trainer.num_epochs=4",
    "optimizer.lr=${unique_id:} | optimizer.weight_decay=${now:%Y} | dataset.root=${oc.env:HOME}/hydra",
    "optimizer.lr=${no.such.key} | dataset.root=/home/hydra/data",
    "optimizer.lr=${hydra.job.num} | dataset.root=${hydra.job.override_dirname}",
    "+note=${dataset} | note.batch_size=7",
    "+note=${hydra.job.config_name} | ~note=config",
    "+note=${hydra.runtime} | ~note.cwd",
    # keys added and deleted
    "+note='text with, commas = and \"quotes\"' | +other='it\\'s' | +more=a\\,b | +time=1:2:3 | +escaped='${a}\\${b}'",
    "+none={} | +list=[] | +more= | +money=$x | +note.deep.deeper=1 | note.deep.deeper=2 | ++note=1 | ++note=[1]",
    "~optimizer.weight_decay=0.0 | +optimizer.weight_decay=1 | ~dataset.mirror | ~device | ~trainer",
    "~trainer.log_every | ~trainer | +trainer.num_epochs=3",
    # groups
    "trainer.num_epochs=7 | scheduler=cosine | scheduler.final_fraction=${optimizer.lr}",
    "model=mlp | model.hidden_sizes=[] | +model.hidden_sizes=[5] | model.hidden_sizes.0=3",
    "dataset=synthetic | dataset.image_shape=[3,8,8] | dataset.num_classes=4",
    "loss.delta=0.2 | seed=3 | loss=huber | optimizer=adam | loss=[huber]",
    "loss.input=x | loss={input:logits} | loss=huber | optimizer={lr:2} | +optimizer={momentum:0.5}",
    "loss=[ce,huber]",
    "~loss=ce | ~experiment",
    "experiment=mlp | optimizer.lr=0.5 | model=lenet",
    "experiment=best_linear | experiment=null",
    "+loss@teacher=huber | teacher.delta=2 | +loss@optimizer.extra=huber | optimizer.extra.delta=2",
    # Hydra's own part
    "seed=1 | +hydra.job.env_set.C=d | hydra.job.config.override_dirname.kv_sep=_",
    "hydra={job:{name:x}}",
    "hydra/job_logging=none | seed=2",
]

BAD_JOBS = [
    # types
    *("seed=x", "seed=null", "seed.a=1", "trainer=null"),
    *("trainer.num_epochs=3 | trainer.num_epochs=abc", "++trainer.num_epochs=abc"),
    # keys
    *("optimizer.lrr=0.1", "sed=1", "trainer.new=1", "optimizer.lr.deep.deeper=0.1", "+optimizer.lr=0.1"),
    *("~optimizer.lr=0.7", "~optimizer.lr | optimizer.lr=1", "~sed", "hydra.nope=1"),
    *("model=mlp | model.hidden_sizes.7=3", "model=mlp | model.hidden_sizes.a=3"),
    # groups
    *("loss=nope", "loss=null", "++loss=mse", "~loss=mse"),
    *("~loss | ~loss.input", "loss@teacher=mse"),
    # the grammar, and what only a sweep may have
    *("seed", "seed=[1", "seed=1 | =2", "+note=${a", "seed=1,2"),
    # which of several mistakes is reported
    *("seed=x | loss=nope | seed=[", "seed=x | optimizer.lrr=1"),
]


@dataclasses.dataclass(repr=False)
class Sweep:
    """A master configuration, a composer that all cases share, and the overrides that Hydra itself composed."""

    loader: ConfigLoaderImpl
    master: DictConfig
    calls: list[list[str]] = dataclasses.field(default_factory=list)

    def __post_init__(self) -> None:
        self.load = self.loader.load_sweep_config
        self.loader.load_sweep_config = self._count  # type: ignore[method-assign]
        self.composer = JobComposer(self.loader, self.master)

    def _count(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        self.calls.append(sweep_overrides)
        return self.load(master_config, sweep_overrides)

    def assert_equal(self, job: Sequence[str]) -> object:
        """Compare a job's configuration, or its error, with Hydra's own, and return it."""
        ours = outcome(lambda: self.composer.compose(job))
        theirs = outcome(lambda: self.load(self.master, list(job)))
        if isinstance(theirs, DictConfig) and isinstance(ours, DictConfig):
            assert differences(ours, theirs) == []
            assert repr(outcome(lambda: resolved(ours))) == repr(outcome(lambda: resolved(theirs)))
        else:
            assert isinstance(ours, BaseException) and isinstance(theirs, BaseException), (ours, theirs)
            assert chain(ours) == chain(theirs)
            assert explain(ours, []) == explain(theirs, [])
        return ours


def outcome(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except Exception as error:
        return error


def resolved(config: DictConfig) -> Any:
    """Resolve a job as the launcher gets it."""
    with open_dict(config):
        config.hydra.job.id = config.hydra.job.num = 3
    return OmegaConf.to_container(config, resolve=True)


def chain(error: BaseException | None) -> list[tuple[object, ...]]:
    links: list[tuple[object, ...]] = []
    while error is not None:
        facts = [getattr(error, name, None) for name in ("full_key", "key", "value", "options", "override")]
        links.append((type(error), str(error), repr(facts), error.__suppress_context__))
        error = error.__cause__ or error.__context__
    return links


def differences(ours: Node, theirs: Node, key: str = "") -> list[str]:
    """List where two trees differ: classes, types, flags, resolver caches, order of keys, raw values, parents."""
    if type(ours) is not type(theirs):
        return [f"{key} is a {type(ours).__name__}, not a {type(theirs).__name__}"]
    found = []
    for field in dataclasses.fields(theirs._metadata):
        pair = [repr(getattr(node._metadata, field.name)) for node in (ours, theirs)]
        if pair[0] != pair[1]:
            found.append(f"{key}: {field.name} is {pair[0]}, not {pair[1]}")
    children, expected = _children(ours), _children(theirs)
    if children is None or expected is None:
        return found if repr(ours._value()) == repr(theirs._value()) else [*found, f"{key}: {ours} is not {theirs}"]
    if list(children) != list(expected):
        return [*found, f"{key} has {list(children)}, not {list(expected)}"]
    for name, child in children.items():
        if child._get_parent() is not ours:
            found.append(f"{key}.{name} has another parent")
        found += differences(child, expected[name], f"{key}.{name}")
    return found


def _children(node: Node) -> dict[Any, Node] | None:
    value = node._value()
    if isinstance(value, list):
        return dict(enumerate(value))
    return value if isinstance(value, dict) else None


def sweep_of(folder: Path, *overrides: str, config_name: str | None = "config") -> Sweep:
    register()
    version.setbase("1.3")
    loader = ConfigLoaderImpl(create_config_search_path(str(folder)))
    return Sweep(loader, Hydra("app", loader).compose_config(config_name, list(overrides), RunMode.MULTIRUN))


def split(job: str) -> list[str]:
    return job.split(" | ") if job else []


@pytest.fixture(scope="module")
def shared() -> Sweep:
    """One for all jobs that leave no trace, so that a base is composed once; its master has overrides of Hydra's."""
    sweep = sweep_of(CONFIG_DIR, "hydra.job.name='${loss._target_}'", "+hydra.job.env_set.A=b", "seed=0,1")
    assert sweep.master.hydra.sweep.dir  # puts the folder's name into the master's cache, as a real sweep does
    return sweep


@pytest.fixture
def sweep(shared: Sweep) -> Sweep:
    return Sweep(ConfigLoaderImpl(shared.loader.get_search_path()), copy.deepcopy(shared.master))


def test_job_composer_composes_every_option_as_hydra_does(shared: Sweep) -> None:
    # In as many jobs as the largest group has options.
    for choices in itertools.zip_longest(*OPTIONS):
        shared.assert_equal([*filter(None, choices), "seed=1"])


@pytest.mark.parametrize("job", JOBS)
def test_job_composer_gives_what_hydra_gives(shared: Sweep, job: str) -> None:
    shared.assert_equal(split(job))


@pytest.mark.parametrize("job", BAD_JOBS)
def test_job_composer_raises_what_hydra_raises(shared: Sweep, job: str) -> None:
    assert isinstance(shared.assert_equal(split(job)), Exception)


NUMBERS = st.one_of(st.integers(-3, 30), st.floats(width=16), st.booleans(), st.none()).map(
    lambda value: "null" if value is None else str(value)
)
TEXTS = st.text(max_size=8).map(lambda text: QuotedString(text.replace("$", "S"), Quote.single).with_quotes())
KEYS = ["seed", "trainer.num_epochs", "optimizer.lr", "loss.delta", "scheduler.warmup_epochs", "model.x", "x.y", "x"]
CHOICES = st.sampled_from(["loss=huber", "~experiment"])
ASSIGNMENTS = st.builds(
    "{}{}={}".format,
    st.sampled_from(["", "", "", "+", "++"]),
    st.sampled_from(KEYS),
    st.one_of(NUMBERS, NUMBERS, TEXTS, st.lists(NUMBERS, max_size=3).map(lambda words: f"[{','.join(words)}]")),
)
DELETIONS = st.sampled_from(KEYS).map("~{}".format)


@settings(max_examples=15, deadline=None)
@given(job=st.lists(st.one_of(CHOICES, ASSIGNMENTS, ASSIGNMENTS, DELETIONS), max_size=5, unique=True))
def test_job_composer_gives_what_hydra_gives_for_any_mixture(shared: Sweep, job: list[str]) -> None:
    shared.assert_equal(job)


def test_job_composer_applies_groups_first_and_values_in_their_order(sweep: Sweep) -> None:
    config = sweep.composer.compose(["optimizer.lr=7", "seed=1", "optimizer=adam", "seed=2"])
    assert (config.optimizer._target_, config.optimizer.lr, config.seed) == ("torch.optim.Adam", 7, 2)
    assert config.hydra.overrides.task == ["optimizer.lr=7", "seed=1", "optimizer=adam", "seed=2"]
    assert config.hydra.job.override_dirname == "optimizer.lr=7\noptimizer=adam\nseed=1\nseed=2"
    assert config.hydra.runtime.choices.optimizer == "adam"


def test_job_composer_asks_hydra_once_for_each_choice_of_groups(sweep: Sweep) -> None:
    for seed, lr, loss in itertools.product(range(4), ("0.1", "1.0"), ("ce", "mse", "huber")):
        config = sweep.composer.compose([f"seed={seed}", f"loss={loss}", f"optimizer.lr={lr}", "device=cpu"])
        assert (config.seed, config.optimizer.lr, config.device) == (seed, float(lr), "cpu")
    assert sweep.calls == [["loss=ce"], ["loss=mse"], ["loss=huber"]]
    sweep.composer.compose([])
    sweep.composer.compose(["dataset.root=/home/hydra/data", "+note='${seed}'"])
    assert sweep.calls[3:] == [[]]


def test_job_composer_asks_hydra_once_about_jobs_with_the_same_mistake(sweep: Sweep) -> None:
    for seed in range(5):
        error = outcome(functools.partial(sweep.composer.compose, [f"seed={seed}", "optimizer.lrr=1"]))
        assert isinstance(error, ConfigCompositionException)
    assert sweep.calls == [[]]


def test_job_composer_forgets_the_choice_used_longest_ago(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deriving, "MAX_BASES", 2)
    composer = JobComposer(sweep.loader, sweep.master)
    for loss in ("ce", "mse", "ce", "huber", "ce", "mse"):
        assert composer.compose([f"loss={loss}"]).hydra.runtime.choices.loss == loss
    assert sweep.calls == [["loss=ce"], ["loss=mse"], ["loss=huber"], ["loss=mse"]]


def test_job_composer_leaves_all_jobs_of_another_loader_to_it(sweep: Sweep) -> None:
    class OtherLoader(ConfigLoaderImpl):
        def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
            config = super().load_sweep_config(master_config, sweep_overrides)
            config.seed += 100
            return config

    composer = JobComposer(OtherLoader(sweep.loader.get_search_path()), sweep.master)
    assert composer.compose(("seed=1",)).seed == 101


@pytest.mark.parametrize("job", [["loss=huber", "seed=1"], ["hydra.job.num=3"]])
def test_job_composer_gives_jobs_that_share_nothing(sweep: Sweep, job: list[str]) -> None:
    before = OmegaConf.to_yaml(sweep.master), repr(OmegaConf.get_cache(sweep.master))
    config = sweep.composer.compose(job)
    OmegaConf.set_struct(config, False)
    OmegaConf.set_readonly(config.hydra, None)
    config.hydra.overrides.task.append("x=1")
    config.hydra.job.config.override_dirname.exclude_keys.append("seed")
    config.hydra.runtime.choices.loss = "x"
    config.loss.delta = config.added = 5
    config.trainer._set_flag("readonly", True)
    del config.optimizer
    OmegaConf.get_cache(config)["now"]["x"] = "y"
    assert (OmegaConf.to_yaml(sweep.master), repr(OmegaConf.get_cache(sweep.master))) == before
    sweep.assert_equal(job)


def test_job_composer_follows_what_changes_between_jobs(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = ["loss=huber", "seed=1"]
    sweep.assert_equal(job)
    OmegaConf.get_cache(sweep.master)["now"]["%Y",] = "1984"
    sweep.assert_equal(job)
    sweep.master.hydra.overrides.hydra.append("hydra.job.config.override_dirname.exclude_keys=['loss']")
    sweep.assert_equal(job)
    assert sweep.composer.compose(job).hydra.job.override_dirname == "seed=1"
    monkeypatch.chdir(tmp_path)
    sweep.assert_equal(job)
    assert sweep.composer.compose(job).hydra.runtime.cwd == str(tmp_path)
    for broken in ("hydra.searchpath=3", "hydra.verbose=["):
        sweep.master.hydra.overrides.hydra.append(broken)
        sweep.assert_equal(job)
        sweep.assert_equal(["seed=["])


# Configurations in which values reach into Hydra's part, or the other way round, while Hydra composes:
# config.yaml without its defaults list, and jobs; the first job's overrides are the master's, too.
SEPARATOR = "hydra: {job: {config: {override_dirname: {kv_sep: '${sep}'}}}}"
HYDRA_GROUPS = "env callbacks job_logging hydra_logging hydra_help help sweeper launcher output".split()
CHOICES_KEPT = "".join(f"hydra/{group}: null, " for group in HYDRA_GROUPS) + "loss: null, tuned: null"
JOB_KEPT = "{name: x, env_copy: [], env_set: {}, override_dirname: '', config_name: '', config: {override_dirname: "
JOB_KEPT += "{kv_sep: '', item_sep: '', exclude_keys: []}}}"
TRAPS = {
    "task reads Hydra's part": ("tag: ${hydra.job.config_name}", ["tag=1", "~tag", "~tag=config", "+tag=1"]),
    "task reads it by a resolver": ("tag: '${oc.select:\"hydra.job.config_name\"}'", ["tag=1", "~tag"]),
    "alias of Hydra's part": ("alias: ${hydra.runtime}", ["alias=x", "~alias.cwd", "alias.cwd=x"]),
    "alias within the task": ("a: {x: 1}\nb: ${a}", ["b=2", "b.x=2", "+b.y=2", "~b.x", "~a | ~b"]),
    "separator swept": (f"sep: x\n{SEPARATOR}", ["sep=_ | loss=mse", "~sep", "sep=null"]),
    "separator missing": (f"sep: ???\n{SEPARATOR}", ["sep=_", "loss=mse"]),
    "environment named by the task": ("names: []\nhydra: {job: {env_copy: '${names}'}}", ["names=[HOME]", ""]),
    "choices kept by the task": (
        f"kept: {{{CHOICES_KEPT}}}\nhydra: {{runtime: {{choices: '${{kept}}'}}}}",
        ["loss=ce", "kept={loss:x}"],
    ),
    "overrides kept by the task": (
        "kept: []\nhydra: {overrides: {hydra: '${kept}'}}",
        ["loss=ce | hydra.verbose=true", "kept=[a]"],
    ),
    "job kept by the task": (f"kept: {JOB_KEPT}", ["hydra.job='${kept}'", "kept.name=y", "kept.env_copy=[HOME]"]),
    "overrides in the file": (
        "hydra: {overrides: {task: [a=b], hydra: [hydra.verbose=true]}}",
        ["loss=mse | loss.name=x", "+a=c"],
    ),
    "values among Hydra's overrides": ("seed: 1\nhydra: {overrides: {hydra: [seed=5]}}", ["loss=mse", "seed=6"]),
    "name swept": ("title: ???\nhydra: {job: {name: '${title}'}}", ["title=x", "loss=mse", "~title"]),
    "keys that are no names": ("table: {1: a, 2.5: b, true: c}", ["table={1:x}", "table.1=x", "~table.1"]),
    "choices that follow others": ("", ["loss=mse", "loss.name=x", "loss=${x}", "tuned=mse"]),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Configuration files, of which `config.yaml` has to be written."""
    files = {
        "loss/ce.yaml": "name: ce",
        "loss/mse.yaml": "name: mse",
        "tuned/ce.yaml": "lr: 1",
        "tuned/mse.yaml": "lr: 2",
        "experiment/quiet.yaml": "# @package _global_\n"
        "hydra: {sweep: {subdir: x}, job: {config: {override_dirname: {exclude_keys: [seed]}}}}",
        "more/extra/found.yaml": "x: 1",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def write_config(folder: Path, text: str, *defaults: str) -> None:
    lines = ["defaults:", *(f"  - {line}" for line in (*defaults, "_self_", "loss: ce", "tuned: ${loss}")), text]
    (folder / "config.yaml").write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.parametrize(("text", "jobs"), TRAPS.values(), ids=TRAPS.keys())
def test_job_composer_is_not_misled_by(folder: Path, text: str, jobs: list[str]) -> None:
    write_config(folder, text)
    sweep = sweep_of(folder, *split(jobs[0]))
    for job in jobs:
        sweep.assert_equal(split(job))


def test_job_composer_finds_groups_where_hydra_does(folder: Path) -> None:
    write_config(folder, "seed: 1")
    sweep = sweep_of(folder)
    sweep.assert_equal(["+extra=found"])  # a value, as long as there is no such group
    sweep.master.hydra.overrides.hydra.append(f"hydra.searchpath=['file://{folder}/more']")
    for job in ("+extra=found | extra.x=2", "extra=found", "+experiment=quiet | seed=2 | loss=mse"):
        sweep.assert_equal(split(job))
    assert sweep.calls[:2] == [[], ["+extra=found"]]


def test_job_composer_lets_a_value_be_resolved_anew_while_composing(folder: Path) -> None:
    answers = ["old"]
    OmegaConf.register_new_resolver("test_deriving", lambda: answers[-1], use_cache=True, replace=True)
    write_config(folder, "tag: ${test_deriving:}")
    sweep = sweep_of(folder)
    assert sweep.master.tag == "old"
    answers.append("new")
    for job in ("~tag=old", "~tag=new"):
        sweep.assert_equal([job])
    assert sweep.composer.compose([]).tag == "old"


def test_job_composer_copies_the_environment_of_each_job(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_config(folder, "seed: 1\nhydra: {job: {env_copy: [TRAP]}}")
    monkeypatch.setenv("TRAP", "0")
    sweep = sweep_of(folder)
    for value in ("1", "2"):
        monkeypatch.setenv("TRAP", value)
        sweep.assert_equal(["seed=2"])
        assert sweep.composer.compose(["seed=2"]).hydra.job.env_set == {"TRAP": value}
    monkeypatch.delenv("TRAP")
    sweep.assert_equal(["seed=2"])


def test_job_composer_shuffles_anew_for_each_job(sweep: Sweep) -> None:
    numbers = ",".join(map(str, range(50)))
    jobs = [sweep.composer.compose([f"optimizer.lr=shuffle([{numbers}])"]) for _ in range(2)]
    assert jobs[0].optimizer.lr != jobs[1].optimizer.lr


def test_job_composer_needs_no_primary_configuration(folder: Path) -> None:
    sweep = sweep_of(folder, config_name=None)
    for job in ("a=1", "+a=1 | +loss=mse | loss.name=x"):
        sweep.assert_equal(split(job))


class Colour(enum.Enum):
    RED = 1
    GREEN = 2


@dataclasses.dataclass
class Inner:
    size: int = 1
    limit: float | None = None


@dataclasses.dataclass(frozen=True)
class Frozen:
    size: int = 1


@dataclasses.dataclass
class Typed:
    colour: Colour = Colour.RED
    inner: Inner = dataclasses.field(default_factory=Inner)
    maybe: Inner | None = None
    frozen: Frozen = dataclasses.field(default_factory=Frozen)
    counts: dict[str, int] = dataclasses.field(default_factory=lambda: {"a": 1})
    parts: dict[str, Inner] = dataclasses.field(default_factory=lambda: {"a": Inner()})
    numbers: list[int] = dataclasses.field(default_factory=lambda: [1, 2])
    either: int | str = 1
    path: Path = Path("x")
    raw: bytes = b"x"
    missing: int = MISSING
    loss: Any = MISSING
    tuned: Any = MISSING


def test_job_composer_keeps_every_type_of_a_schema(folder: Path) -> None:
    ConfigStore.instance().store(name="test_deriving_typed", node=Typed)
    write_config(folder, "", "test_deriving_typed")
    good = ["colour=green", "inner.size=3", "maybe={size:2}", "counts.a=2", "+counts.b=3", "parts.a.limit=2"]
    good += ["+parts.b={size:4}", "numbers=[3]", "either=x", "path=/y", "missing=3", "inner=null", "loss=mse"]
    bad = ["colour=blue", "inner.nope=1", "maybe.size=1", "frozen.size=2", "counts.c=1", "parts.a.size=x"]
    bad += ["+parts.b=3", "numbers.0=x", "either=[1]", "~inner.size"]
    sweep = sweep_of(folder)
    sweep.assert_equal(good[:-2])
    sweep.assert_equal(good[-1:])
    for override in (*bad, "inner=null"):
        sweep.assert_equal([override])
    assert sweep.calls == [[], ["loss=mse"]]


def test_job_composer_leaves_a_schema_that_cannot_be_copied_to_hydra(folder: Path) -> None:
    @dataclasses.dataclass
    class Local:
        size: int = 1

    ConfigStore.instance().store(group="test_deriving_local", name="local", node=Local)
    write_config(folder, "", "test_deriving_local: local")
    sweep = sweep_of(folder)
    for job in ("test_deriving_local.size=2", "test_deriving_local.size=x"):
        sweep.assert_equal(split(job))
