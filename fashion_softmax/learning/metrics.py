"""Measures of a classifier, per run: how often it is right, and how surprised it is by the truth.

Shapes: `B` images, `K` classes, `*R` any leading axes (none for one run, one for runs trained together). `logits` are
scores, (*R, B, K); `labels` are the true classes, int64, (B,).
"""

import torch
from torch import Tensor
from torch.nn import functional as F


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
