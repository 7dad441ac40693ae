"""What TensorBoard gets of a run beside its metrics: weights as pictures, histograms, confusions, mistakes, text.

What cannot be drawn is left out with a line in the log, and the run continues; only an error of the disk ends it.
"""

import dataclasses
import logging
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL.Image import Image
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams.summary_v2 import hparams_pb
from torch import nn
from torch.utils.tensorboard.summary import custom_scalars, histogram, text

from fashion_softmax.config.schema import DashboardConfig
from fashion_softmax.config.settings import find_hyperparameters, is_comparable, name_trial
from fashion_softmax.dashboard import pictures
from fashion_softmax.dashboard.events import EventFile
from fashion_softmax.data import Dataset
from fashion_softmax.errors import one_line
from fashion_softmax.learning.models import SoftmaxRegression
from fashion_softmax.learning.predictions import Predictions

log = logging.getLogger(__name__)

NUM_BINS = 24
NUM_MISTAKES = 15
# One chart per measure with all splits in it; without this TensorBoard draws a chart per tag.
CHARTS = {name: ["Multiline", [f"^(train|val|test)/{name}$"]] for name in ("accuracy", "loss", "cross_entropy")}
LAYOUT = custom_scalars({"train beside test": CHARTS})
# How the tags begin of what a run's beginning says, and of what is written at its end; a resumed run writes them anew.
WRITTEN_ANEW = ("_hparams_/", "config/", "overrides/", "time/", "test_images/")


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
        self.dataset = dataset

    def log_start(
        self, config: Mapping[str, Any], yaml_text: str, choices: Mapping[str, str], overrides: Sequence[str]
    ) -> None:
        """Write what describes the run: hyper-parameters, charts, the configuration as text.

        Args:
            config: of the shape of `schema.Config`, interpolations unresolved.
            yaml_text: its file.
            choices: group to option.
            overrides: of its command line.
        """
        settings = find_hyperparameters(config, choices)
        settings.pop("seed", None)  # a row of TensorBoard's table has several
        # Those that all runs have, or that this one's command set: parallel coordinates leave out runs that lack one.
        shared = {key: value for key, value in settings.items() if value is not None and is_comparable(key, overrides)}
        # Runs with the same trial are one row, with the means of their metrics.
        self.events.write(hparams_pb(shared, trial_id=name_trial(settings, overrides)))
        self.events.write(LAYOUT)
        if self.switches.text:
            for tag, code in (("config", yaml_text), ("overrides", "\n".join(overrides) or "none")):
                # Four spaces make it a code block: nothing in it becomes Markdown or HTML.
                self.events.write(text(tag, textwrap.indent(code, "    ", lambda _: True)))

    def log_epoch(self, step: int) -> None:
        """Write what changes with every epoch; flush the events before the checkpoint that counts the epoch.

        Args:
            step: images seen.
        """
        self._attempt(("templates", "histograms"), step)

    def log_end(self, step: int, predictions: Predictions) -> None:
        """Write what the trained model says about the test images.

        Args:
            step: images seen.
            predictions: of the test images.
        """
        self._attempt(("confusion_matrix", "calibration", "mistakes"), step, predictions)

    def _attempt(self, names: Sequence[str], *arguments: Any) -> None:
        """Write what is switched on of these; what fails is switched off, and the run continues."""
        for name in names:
            try:
                if getattr(self.switches, name):
                    getattr(self, f"_write_{name}")(*arguments)
            except OSError:
                raise
            except Exception as error:  # a user's model or data set may cause anything
                setattr(self.switches, name, False)
                log.warning("TensorBoard gets no %s of this run: %s", name, one_line(repr(error)))

    def _write_templates(self, step: int) -> None:
        if isinstance(self.model, SoftmaxRegression):
            weights = self.model.weight.detach().cpu().unflatten(1, self.dataset.image_shape).mean(1).numpy()
            self._write_picture("weights/templates", step, pictures.draw_templates(weights, self.dataset.class_names))

    def _write_histograms(self, step: int) -> None:
        for name, parameter in self.model.named_parameters():
            self.events.write(histogram(f"parameters/{name}", parameter.detach().cpu().numpy(), NUM_BINS), step)

    def _write_confusion_matrix(self, step: int, predictions: Predictions) -> None:
        counts = predictions.count_confusions(self.dataset.num_classes)
        title = f"{len(predictions.labels)} test images, {predictions.is_correct.mean():.1%} correct"
        picture = pictures.draw_confusion(counts, self.dataset.class_names, title)
        self._write_picture("test_images/confusion_matrix", step, picture)

    def _write_calibration(self, step: int, predictions: Predictions) -> None:
        self._write_picture("test_images/calibration", step, pictures.draw_reliability(predictions))

    def _write_mistakes(self, step: int, predictions: Predictions) -> None:
        wrong = np.flatnonzero(~predictions.is_correct)
        if not len(wrong):
            return
        shown = predictions.sort_surest(wrong)[:NUM_MISTAKES]
        captions = predictions.word(shown, self.dataset.class_names)
        pixels = pictures.to_pixels(self.dataset.test.images[torch.from_numpy(shown)].cpu().numpy())
        title = f"{len(wrong)} of {len(self.dataset.test)} test images are misclassified; the most confident mistakes"
        self._write_picture("test_images/mistakes", step, pictures.draw_sheet(pixels, captions, title))

    def _write_picture(self, tag: str, step: int, picture: Image) -> None:
        size = {"width": picture.width, "height": picture.height}
        image = Summary.Image(encoded_image_string=pictures.to_png(picture), colorspace=3, **size)
        self.events.write(Summary(value=[Summary.Value(tag=tag, image=image)]), step)
