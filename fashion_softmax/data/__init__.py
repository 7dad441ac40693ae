"""Data sets: fetching and verifying, reading, splitting, resizing, and making mini-batches."""

from fashion_softmax.data.batches import Batches
from fashion_softmax.data.catalog import Options, finish, load_idx, load_published, make_synthetic
from fashion_softmax.data.dataset import Dataset, Split
from fashion_softmax.data.folder import load_folder

__all__ = [
    "Batches",
    "Dataset",
    "Options",
    "Split",
    "finish",
    "load_folder",
    "load_idx",
    "load_published",
    "make_synthetic",
]
