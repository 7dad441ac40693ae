"""What TensorBoard gets of a run beside its metrics: weights as pictures, histograms, confusions, mistakes, a graph.

What cannot be drawn is left out with a line in the log, and the run continues; only an error of the disk ends it.
"""

import contextlib
import dataclasses
import functools
import io
import logging
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.tensorboard.summary import custom_scalars, histogram_raw, pr_curve_raw, text

from fashion_softmax.config.schema import DashboardConfig
from fashion_softmax.dashboard.description import Description
from fashion_softmax.dashboard.events import EventFile
from fashion_softmax.data import Dataset
from fashion_softmax.learning.models import SoftmaxRegression
from fashion_softmax.learning.predictions import Predictions

log = logging.getLogger(__name__)

NUM_BINS = 24
NUM_THRESHOLDS = 127  # the most that TensorBoard's protocol buffers carry
MAX_CURVES = 100  # classes; with more, nobody looks at every curve
NUM_MISTAKES = 24
# One chart per measure with all splits in it; without this TensorBoard draws a chart per tag.
LAYOUT = {
    "train beside test": {
        name: ["Multiline", [f"^(train|val|test)/{name}$"]] for name in ("loss", "accuracy", "cross_entropy")
    }
}
# Tags of what is written once a run has ended, and of what its beginning says; a resumed run writes them anew.
OF_THE_END = TIME, TEST_IMAGES, CURVES = "time/", "test_images/", "precision_recall/"
TEXTS = ("config", "differences")


@functools.cache
def _make_layout() -> Any:
    return custom_scalars(LAYOUT)


def switch_off(switches: DashboardConfig) -> DashboardConfig:
    """Switch off everything but the text."""
    off = dict.fromkeys((field.name for field in dataclasses.fields(DashboardConfig)), False)
    return DashboardConfig(**{**off, "text": switches.text})


class Dashboard:
    """Writes what is switched on into a run's event file.

    Args:
        events: the run's.
        switches: what to write.
        model: trained in place, on any device.
        dataset: that it is trained on.
    """

    def __init__(self, events: EventFile, switches: DashboardConfig, model: nn.Module, dataset: Dataset) -> None:
        self.events = events
        self.switches = dataclasses.replace(switches)
        self.model = model
        self.image_shape = dataset.image_shape
        self.class_names = dataset.class_names
        self.test = dataset.test

    def log_start(self, description: Description, yaml_text: str, *, is_new: bool) -> None:
        """Write what describes the run: hyper-parameters, charts, the configuration as text, the model's graph.

        Args:
            description: of its settings.
            yaml_text: its configuration.
            is_new: False for a run that is resumed.
        """
        if description.hyperparameters:
            self.events.write_start(description.hyperparameters, description.trial)
        self.events.write(_make_layout())
        for tag, markdown in description.texts(yaml_text).items() if self.switches.text else ():
            self.events.write(text(tag, markdown))
        if is_new:
            self._attempt("graph", self._write_graph)

    def log_epoch(self, step: int) -> None:
        """Write what changes with every epoch; flush the events before the checkpoint that counts the epoch.

        Args:
            step: images seen.
        """
        if isinstance(self.model, SoftmaxRegression):
            self._attempt("templates", self._write_templates, self.model, step)
        self._attempt("histograms", self._write_histograms, step)

    def log_end(self, step: int, predictions: Predictions) -> None:
        """Write what the trained model says about the test images.

        Args:
            step: images seen.
            predictions: of the test images, with all probabilities.
        """
        self._attempt("confusion_matrix", self._write_confusions, step, predictions)
        self._attempt("mistakes", self._write_mistakes, step, predictions)
        if predictions.probabilities is not None:
            self._attempt("pr_curves", self._write_curves, step, predictions.labels, predictions.probabilities)

    def _attempt(self, name: str, write: Callable[..., None], *arguments: Any) -> None:
        """Write something if it is switched on; if it fails, switch it off and let the run continue."""
        if not getattr(self.switches, name):
            return
        try:
            write(*arguments)
        except OSError:
            raise
        except Exception as error:  # a user's model or data set may cause anything
            setattr(self.switches, name, False)
            log.warning("TensorBoard gets no %s of this run: %s", name, " ".join(f"{error!r}".split())[:200])

    def _write_templates(self, model: SoftmaxRegression, step: int) -> None:
        from fashion_softmax.dashboard.pictures import draw_templates, to_png  # Pillow, which no sweep needs

        weights = model.weight.detach().cpu().unflatten(1, self.image_shape).mean(1)
        picture = draw_templates(weights.numpy(), self.class_names)
        self.events.write_picture("weights/templates", to_png(picture), picture.size, step)

    def _write_histograms(self, step: int) -> None:
        for name, parameter in self.model.named_parameters():
            values = parameter.detach().double().cpu().flatten()
            low, high = values.min().item(), values.max().item()
            widened = high if high > low else low + max(abs(low), 1.0) * 1e-3
            counts = torch.histc(values, NUM_BINS, low, widened)
            limits = torch.linspace(low, widened, NUM_BINS + 1, dtype=torch.float64)[1:]
            total, squares = values.sum().item(), values.square().sum().item()
            tag = f"parameters/{name}"
            self.events.write(
                histogram_raw(tag, low, high, len(values), total, squares, limits.tolist(), counts.tolist()), step
            )

    def _write_confusions(self, step: int, predictions: Predictions) -> None:
        from fashion_softmax.dashboard.pictures import draw_confusion, to_png

        num_classes = len(self.class_names)
        pairs = predictions.labels.astype(np.int64) * num_classes + predictions.classes
        counts = np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)
        title = f"{len(pairs)} test images, {predictions.is_correct.mean():.1%} correct"
        picture = draw_confusion(counts, self.class_names, title)
        self.events.write_picture(f"{TEST_IMAGES}confusion_matrix", to_png(picture), picture.size, step)

    def _write_mistakes(self, step: int, predictions: Predictions) -> None:
        from fashion_softmax.dashboard.pictures import draw_mistakes, to_png

        wrong = np.flatnonzero(~predictions.is_correct)
        if not len(wrong):
            return
        shown = wrong[np.argsort(-predictions.confidences[wrong], kind="stable")][:NUM_MISTAKES]
        true_names, predicted_names = (
            [self.class_names[index] for index in classes[shown]]
            for classes in (predictions.labels, predictions.classes)
        )
        images = self.test.images[torch.from_numpy(shown)].cpu().numpy()
        title = f"{len(wrong)} of {len(self.test)} test images are misclassified; the most confident mistakes"
        picture = draw_mistakes(images, true_names, predicted_names, predictions.confidences[shown].tolist(), title)
        self.events.write_picture(f"{TEST_IMAGES}mistakes", to_png(picture), picture.size, step)

    def _write_curves(self, step: int, labels: NDArray[np.unsignedinteger], probabilities: NDArray[np.float32]) -> None:
        """Write each class's curve; torch's own `pr_curve` takes ten times as long."""
        above = (probabilities.T * (NUM_THRESHOLDS - 1)).astype(np.int64).clip(0, NUM_THRESHOLDS - 1)
        for index, name in enumerate(self.class_names[:MAX_CURVES]):
            is_class = labels == index
            # Thresholds from the largest to the smallest: each includes what the ones before it do.
            positives, negatives = (
                np.bincount(above[index][part], minlength=NUM_THRESHOLDS)[::-1].cumsum()[::-1]
                for part in (is_class, ~is_class)
            )
            precision = positives / np.maximum(positives + negatives, 1)
            recall = positives / max(positives[0], 1)
            missed, rejected = positives[0] - positives, negatives[0] - negatives
            tag = f"{CURVES}{index} {name}"
            columns = (positives, negatives, rejected, missed, precision, recall)
            self.events.write(pr_curve_raw(tag, *columns, num_thresholds=NUM_THRESHOLDS), step)

    def _write_graph(self) -> None:
        from fashion_softmax.config.private import make_graph

        parameter = next(self.model.parameters())
        blank = torch.zeros(1, *self.image_shape, device=parameter.device, dtype=parameter.dtype)
        # torch prints errors and warns about its own code, and the model may draw random numbers: hide it from the run.
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore")
            nodes = make_graph(self.model, blank)
        self.events.write_graph(nodes)
