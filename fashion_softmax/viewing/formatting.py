"""Numbers in words: percent for accuracies, four decimals for the rest."""

from fashion_softmax.viewing.runs import is_accuracy
from fashion_softmax.viewing.setting import Setting

NOTHING = "-"


def name_metric(tag: str) -> str:
    """Word a tag, such as `test cross-entropy`."""
    return tag.replace("/", " ").replace("cross_entropy", "cross-entropy")


def format_mean(setting: Setting, metric: str) -> str:
    """Word a setting's mean with its deviation, such as `83.18 ± 0.20 %`."""
    spread = "" if setting.deviation is None else f" ± {format_number(setting.deviation, metric)}"
    return f"{format_number(setting.mean, metric)}{spread}{unit(metric)}"


def format_value(value: float | None, metric: str) -> str:
    """Word a value of a metric with its unit."""
    return NOTHING if value is None else f"{format_number(value, metric)}{unit(metric)}"


def format_number(value: float, metric: str) -> str:
    """Word a value of a metric without its unit: percent for an accuracy."""
    if is_accuracy(metric):
        return f"{100 * value:.2f}"
    return f"{value:.4f}" if abs(value) < 1e5 else f"{value:.3g}"


def format_p(p_value: float) -> str:
    """Word a p-value; a very small one is not told in digits."""
    return f"{p_value:.3f}" if p_value >= 0.001 else "< 0.001"


def format_seconds(value: float | None) -> str:
    """Word a duration."""
    return NOTHING if value is None else f"{value:.1f}"


def unit(metric: str) -> str:
    """Give the unit of a metric, with the space before it."""
    return " %" if is_accuracy(metric) else ""
