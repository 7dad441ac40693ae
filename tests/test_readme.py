"""The README's examples, tried: what it says is all there is to do, is all that is done here."""

import re
from pathlib import Path

from tests.conftest import ROOT, TINY
from tests.test_cli import Train

README = (ROOT / "README.md").read_text(encoding="utf-8")
CHINESE = (ROOT / "README.zh-CN.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def example(word: str) -> str:
    return next(block for block in blocks(README, "python") + blocks(README, "yaml") if word in block)


def test_examples_of_own_components_train_together(train: Train, tmp_path: Path) -> None:
    (tmp_path / "my_losses.py").write_text(example("Focal"), encoding="utf-8")
    (tmp_path / "my_models.py").write_text(example("TwoLayers"), encoding="utf-8")
    (tmp_path / "my_data.py").write_text(example("stripes"), encoding="utf-8")
    options = {
        "loss/focal": "_target_: my_losses.Focal\ngamma: 2.0\n",
        "model/two_layers": "_target_: my_models.TwoLayers\nwidth: 64\n",
        "dataset/stripes": "_target_: my_data.stripes\nsize: 8\n",
        "optimizer/adagrad": example("Adagrad"),
    }
    for name, content in options.items():
        path = tmp_path / "my_conf" / f"{name}.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(content, encoding="utf-8")
    choices = [name.replace("/", "=") for name in options]
    folder = f"hydra.run.dir={tmp_path}/run"
    result = train("--config-dir", "my_conf", *choices, TINY[-1], folder, PYTHONPATH=str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert "TwoLayers, Focal, Adagrad on 1000 images of 1 x 8 x 8" in result.stdout


def test_commands_of_the_readme_compose() -> None:
    from fashion_softmax.config.checking import check_values
    from fashion_softmax.config.jobs import compose
    from fashion_softmax.config.schema import resolve

    commands = [line.partition("#")[0].split()[2:] for line in blocks(README, "bash")[1].splitlines()]
    assert len(commands) >= 7
    for arguments in commands:
        if not arguments or arguments[0] not in ("-m", "--help"):
            check_values(resolve(compose(arguments)))


def test_chinese_twin_has_the_same_code_and_pictures() -> None:
    def code(text: str) -> list[str]:
        parts = [block for language in ("bash", "console", "yaml", "python") for block in blocks(text, language)]
        return [re.sub(r"\s+#.*", "", part) for part in parts]

    assert code(README) == code(CHINESE)
    assert re.findall(r"docs/images/\S+\.png", README) == re.findall(r"docs/images/\S+\.png", CHINESE)
    assert re.findall(r"[\d.]+ ± [\d.]+ %", README) == re.findall(r"[\d.]+ ± [\d.]+ %", CHINESE)
