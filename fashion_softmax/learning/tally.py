"""Sums over many batches, for the metrics of an epoch; can be stored and continued, to the last bit.

Shapes: `R` runs, `B` images, `K` classes.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fashion_softmax.learning.metrics import count_correct, cross_entropies

COUNT_TOGETHER = 2**17  # logits; counting several small batches at once costs little more than counting one

State = dict[str, Any]  # plain values and tensors, of one run


class Tally:
    """Loss, accuracy and cross-entropy of R runs, summed over batches, a few of them at a time.

    Args:
        states: of each run, from `state`, to continue where it was; none to begin at zero.
    """

    def __init__(self, states: Sequence[State] = ()) -> None:
        self._pending: list[tuple[Tensor, Tensor, Tensor]] = []
        self._sums: list[Tensor] = []  # (3, R) each
        self._num_images = 0
        if states:
            self._restore(states)

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

    def state(self, index: int) -> State:
        """Copy one run's part: what is counted, and the batches that are not yet.

        Counting those now would add the same numbers in another order, and change the last digit of the mean.
        """
        return {
            "sums": [sums[:, index].clone() for sums in self._sums],
            "num_images": self._num_images,
            "pending": [
                (losses[index].cpu().clone(), logits[index].cpu().clone(), labels.cpu().clone())
                for losses, logits, labels in self._pending
            ],
        }

    def _restore(self, states: Sequence[State]) -> None:
        kinds = {(len(state["sums"]), len(state["pending"])) for state in states}
        if len(kinds) > 1:  # they come from stacks of several sizes, which count at different batches
            states = [_settle(state) for state in states]
        self._num_images = states[0]["num_images"]
        self._sums = [torch.stack(sums, dim=1) for sums in zip(*(state["sums"] for state in states), strict=True)]
        for batch in zip(*(state["pending"] for state in states), strict=True):
            losses, logits, labels = zip(*batch, strict=True)
            self._pending.append((torch.stack(losses), torch.stack(logits), labels[0]))

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


def _settle(state: State) -> State:
    """Count what is pending, and add up."""
    tally = Tally([state])
    tally._count()
    settled = tally.state(0)
    return settled | {"sums": [torch.stack(settled["sums"]).sum(0)]}
