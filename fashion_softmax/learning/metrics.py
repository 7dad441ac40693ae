"""Measures of a classifier, per run: how often it is right, its cross-entropy, and their sums.

Shapes: `B` images, `K` classes, `*R` any leading axes (none for one run, one for runs trained together). `logits` are
scores, (*R, B, K); `labels` are the true classes, int64, (B,).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

COUNT_TOGETHER = 2**17  # logits; counting several small batches at once costs little more than counting one


def count_correct(logits: Tensor, labels: Tensor) -> Tensor:
    """Count the images whose largest logit is that of the true class, int64, shape (*R)."""
    # `max` finds the first largest logit like `argmax`, more than ten times faster along so short an axis.
    return (logits.mT.max(dim=-2).indices == labels).sum(dim=-1)


def cross_entropies(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute `-log softmax(logits)[label]` per image, in nats, shape (*R, B): the yardstick common to all losses."""
    log_probabilities = log_softmax(logits)
    return -take_true_class(log_probabilities, labels).squeeze(-1)


def softmax(logits: Tensor) -> Tensor:
    """Turn scores into probabilities `p_i = exp(o_i) / sum_j exp(o_j)`, shape (*R, B, K) to (*R, B, K)."""
    return F.softmax(logits.mT, dim=-2).mT


def log_softmax(logits: Tensor) -> Tensor:
    """Compute `log softmax(logits)` without leaving the range of floats, shape (*R, B, K) to (*R, B, K).

    The classes are few and the images many: with the images along the inner axis, as here, torch's CPU kernel
    works on several images at once and is ten times faster.
    """
    return F.log_softmax(logits.mT, dim=-2).mT


def take_true_class(scores: Tensor, labels: Tensor) -> Tensor:
    """Pick the true class's entry of each row, shape (*R, B, K) to (*R, B, 1)."""
    index = labels.expand(*scores.shape[:-2], 1, -1)
    return scores.mT.gather(-2, index).mT


def one_hot(labels: Tensor, like: Tensor) -> Tensor:
    """Encode labels as vectors with 1 at the true class and 0 elsewhere, shape (B, K).

    Args:
        labels: see above.
        like: a tensor (*R, B, K) that gives K, the type and the device; the vectors broadcast over its leading axes.
    """
    classes = torch.arange(like.shape[-1], device=like.device).unsqueeze(-1)
    return (classes == labels).to(like.dtype).mT


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
