"""Configuration-driven experiments with softmax regression on Fashion-MNIST."""

__version__ = "0.2.0"
