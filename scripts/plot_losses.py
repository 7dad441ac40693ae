"""Draw the lesson's losses: value, gradient and likelihood over one prediction, a panel for each loss in conf/loss.

python scripts/plot_losses.py
python scripts/plot_losses.py loss=huber loss.delta=0.2      this loss only, with another setting
python scripts/plot_losses.py loss=mse,huber loss.delta=1    these two; a setting counts for the losses that have it
python scripts/plot_losses.py --compare                      all losses in the same axes
python scripts/plot_losses.py --config-dir my_conf loss=focal,ce    my_conf/loss/focal.yaml of your own
"""

from collections.abc import Mapping
from typing import Any

from common import add_output, add_overrides, compose_checked, make_parser, read_options, save_figure, script

from fashion_softmax.config.checking import suggest
from fashion_softmax.config.schema import CONFIG_DIR
from fashion_softmax.errors import ConfigError, FashionSoftmaxError


def main() -> None:
    """Build the losses from their configurations, draw them, save the figure."""
    parser = make_parser(__doc__)
    add_overrides(parser)
    parser.add_argument("--compare", action="store_true", help="draw all losses into the same axes")
    add_output(parser, "losses.png", "losses.svg")
    options = read_options(parser)
    with script():
        configs = compose_losses(options.overrides)
        from loss_figures import compare_losses, draw_losses

        from fashion_softmax.config.building import build_as
        from fashion_softmax.learning.losses import Loss, RegressionLoss

        losses = {
            word_title(name, config["loss"]): build_as(Loss, config, "loss")  # type: ignore[type-abstract]
            for name, config in configs.items()
        }
        losses = dict(sorted(losses.items(), key=lambda loss: not isinstance(loss[1], RegressionLoss)))
        stem = "losses_compared" if options.compare else "losses"
        try:
            figure = (compare_losses if options.compare else draw_losses)(losses)
            save_figure(figure, options, f"{stem}.png", f"{stem}.svg")
        except FashionSoftmaxError:
            raise
        except Exception as error:  # a loss of the user's own may raise anything
            raise ConfigError(f"loss: cannot be drawn: {type(error).__name__}: {error}") from error


def compose_losses(overrides: list[str]) -> dict[str, dict[str, Any]]:
    """Compose a configuration for each loss.

    Args:
        overrides: of the command line; `loss=a,b` chooses losses, `loss.KEY=VALUE` counts for those that have the key.

    Returns:
        Checked configurations by the loss's name.

    Raises:
        ConfigError: a loss, a key or a value is not allowed.
    """
    chosen = [line.partition("=")[2] for line in overrides if line.startswith("loss=")]
    names = chosen[-1].split(",") if chosen else sorted(path.stem for path in (CONFIG_DIR / "loss").glob("*.yaml"))
    settings = [line for line in overrides if line.startswith("loss.")]
    others = [line for line in overrides if not line.startswith(("loss=", "loss."))]
    configs = {name: compose_checked([*others, f"loss={name}"]) for name in names}
    known = {str(key) for config in configs.values() for key in config["loss"] if key != "_target_"}
    for line in settings:
        if (key := find_key(line)) not in known:
            raise ConfigError(f"loss.{key} is unknown{suggest(key, known)}")
    for name, config in configs.items():
        if own := [line for line in settings if find_key(line) in config["loss"]]:
            configs[name] = compose_checked([*others, f"loss={name}", *own])
    return configs


def find_key(override: str) -> str:
    """Find the key that an override such as `loss.delta=1` sets."""
    return override.partition("=")[0].split(".")[1]


def word_title(name: str, node: Mapping[str, Any]) -> str:
    """Word a loss's name and settings; `input` is not among them, since the axis says it."""
    settings = [f"{key}={value}" for key, value in node.items() if key not in ("_target_", "input") and value]
    return ", ".join([name, *settings])


if __name__ == "__main__":
    main()
