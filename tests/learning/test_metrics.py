"""Metrics against literals and against torch."""

import torch
from torch.nn import functional as F

from fashion_softmax.learning.metrics import count_correct, cross_entropies, log_softmax, one_hot, softmax


def test_count_correct_counts_per_run() -> None:
    logits = torch.tensor([[[2.0, 1.0], [0.0, 3.0]], [[1.0, 2.0], [0.0, 3.0]]])
    assert count_correct(logits, torch.tensor([0, 1])).tolist() == [2, 1]


def test_count_correct_takes_the_first_of_equal_logits() -> None:
    assert count_correct(torch.zeros(3, 4), torch.tensor([0, 1, 2])).item() == 1


def test_one_hot_has_one_at_the_true_class() -> None:
    assert one_hot(torch.tensor([1, 0]), torch.zeros(2, 3)).tolist() == [[0, 1, 0], [1, 0, 0]]


def test_softmax_equals_torch() -> None:
    logits = torch.randn(2, 5, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(softmax(logits), F.softmax(logits, dim=-1), rtol=0, atol=1e-15)
    torch.testing.assert_close(log_softmax(logits), F.log_softmax(logits, dim=-1), rtol=0, atol=1e-14)


def test_cross_entropies_equal_torch_and_survive_large_logits() -> None:
    logits = torch.tensor([[1e4, 0.0, -1e4], [0.0, 1.0, 2.0]], dtype=torch.float64)
    labels = torch.tensor([2, 1])
    torch.testing.assert_close(cross_entropies(logits, labels), F.cross_entropy(logits, labels, reduction="none"))
    assert cross_entropies(logits, labels)[0] == 2e4
