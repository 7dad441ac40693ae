"""Data sets: fetching and verifying, reading, splitting, resizing, and making mini-batches."""

from fashion_softmax.data.batches import Batches
from fashion_softmax.data.catalog import Options, finish, load_idx, load_published, make_synthetic
from fashion_softmax.data.dataset import Dataset, Split

__all__ = ["Batches", "Dataset", "Options", "Split", "finish", "load_idx", "load_published", "make_synthetic"]
