"""Sums over many batches, for the metrics of an epoch.

Shapes: `R` runs, `B` images, `K` classes.
"""

import torch
from torch import Tensor

from fashion_softmax.learning.metrics import count_correct, cross_entropies

COUNT_TOGETHER = 2**17  # logits; counting several small batches at once costs little more than counting one


class Tally:
    """Loss, accuracy and cross-entropy of R runs, summed over batches, a few of them at a time."""

    def __init__(self) -> None:
        self._pending: list[tuple[Tensor, Tensor, Tensor]] = []
        self._sums: list[Tensor] = []  # (3, R) each
        self._num_images = 0

    def add(self, losses: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: losses (R, B), logits (R, B, K), labels (B,)."""
        self._pending.append((losses, logits, labels))
        if len(self._pending) * logits.numel() >= COUNT_TOGETHER:
            self._count()

    def means(self) -> dict[str, list[float]]:
        """Average over all images added: `loss`, `accuracy` and `cross_entropy`, a value for each run."""
        self._count()
        loss, accuracy, cross_entropy = (torch.stack(self._sums).sum(0) / self._num_images).tolist()
        return {"loss": loss, "accuracy": accuracy, "cross_entropy": cross_entropy}

    def _count(self) -> None:
        if not self._pending:
            return
        all_losses, all_logits, all_labels = self._pending[0]
        if len(self._pending) > 1:
            losses, logits, labels = zip(*self._pending, strict=True)
            all_losses, all_labels = torch.cat(losses, dim=-1), torch.cat(labels)
            # Joined with the images innermost, the order in which the metrics are fastest.
            all_logits = torch.cat([part.mT for part in logits], dim=-1).mT
        # Sums in double precision: the mean of equal numbers is then that number, whatever the batch size. On the
        # CPU, since Apple's mps has no doubles.
        sums = (
            all_losses.cpu().sum(-1, dtype=torch.float64),
            count_correct(all_logits, all_labels).cpu().double(),
            cross_entropies(all_logits, all_labels).cpu().sum(-1, dtype=torch.float64),
        )
        self._sums.append(torch.stack(sums))
        self._num_images += len(all_labels)
        self._pending.clear()
