"""Data sets: fetching and verifying, reading, splitting, resizing, and making mini-batches."""

from fashion_softmax.data.batches import Batches, in_order
from fashion_softmax.data.catalog import finish, load_idx, load_published, make_synthetic
from fashion_softmax.data.dataset import Dataset, Split

__all__ = [
    "Batches",
    "Dataset",
    "Split",
    "finish",
    "in_order",
    "load_idx",
    "load_published",
    "make_synthetic",
]
