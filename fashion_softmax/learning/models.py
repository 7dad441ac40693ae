"""Models: images (B, C, H, W) float32 in [0, 1] to logits (B, K).

Every model takes the runtime facts first, `image_shape = (C, H, W)` and `num_classes = K`, so that no configuration
repeats 784 or 10, and draws its weights from torch's global generator, which the run seeds.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fashion_softmax.errors import MachineError

ImageShape = tuple[int, int, int]


def pick_device(name: str) -> torch.device:
    """Choose where to train.

    Args:
        name: cpu, cuda, cuda:N, mps, or auto for CUDA where there is one, else Apple's mps, else the CPU.

    Raises:
        MachineError: this machine has no such device.
    """
    mps = torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if mps else "cpu")
    device = torch.device(name)
    num_present = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(mps)}
    if (device.index or 0) >= num_present[device.type]:
        raise MachineError(f"device={name} is not on this machine; device=auto takes what there is")
    return device


def seed_torch(seed: int, device: torch.device) -> None:
    """Seed what the models draw: initial weights on the CPU, dropout on the device."""
    # `torch.manual_seed` prepares the seeding of all devices, which takes longer than building a model.
    seed_all = torch.default_generator.manual_seed if device.type == "cpu" else torch.manual_seed
    seed_all(seed)


class SoftmaxRegression(nn.Module):
    """The lesson's model: flatten the image, then one fully connected layer; softmax is left to the loss.

    Args:
        image_shape: (C, H, W).
        num_classes: K.
        init_std: standard deviation of the normal distribution the weights are drawn from, 0 or more.
            The bias starts at 0.

    Attributes:
        weight: shape (K, D) with D = C * H * W; row k, seen as an image, is the template of class k.
        bias: shape (K,).
    """

    def __init__(self, image_shape: ImageShape, num_classes: int, *, init_std: float = 0.01) -> None:
        super().__init__()
        self.weight = nn.Parameter(init_std * torch.randn(num_classes, math.prod(image_shape)))
        self.bias = nn.Parameter(torch.zeros(num_classes))

    def forward(self, images: Tensor) -> Tensor:
        """Compute the logits, images (B, C, H, W) to (B, K)."""
        return F.linear(images.flatten(1), self.weight, self.bias)


class MLP(nn.Sequential):
    """A multilayer perceptron: flatten, then fully connected layers with ReLU between them.

    Args:
        image_shape: (C, H, W).
        num_classes: K.
        hidden_sizes: width of each hidden layer, at least 1; the lesson's successor chapter uses one of 256.
        dropout: probability of dropping a hidden unit during training, in [0, 1).
    """

    def __init__(
        self,
        image_shape: ImageShape,
        num_classes: int,
        *,
        hidden_sizes: Sequence[int] = (256,),
        dropout: float = 0.0,
    ) -> None:
        layers: list[nn.Module] = [nn.Flatten()]
        width = math.prod(image_shape)
        for hidden_size in hidden_sizes:
            layers += [nn.Linear(width, hidden_size), nn.ReLU()]
            if dropout > 0:
                layers.append(nn.Dropout(dropout))
            width = hidden_size
        super().__init__(*layers, nn.Linear(width, num_classes))


class LeNet(nn.Sequential):
    """LeNet-5 with today's parts: ReLU for the sigmoids, maximum for the average pooling.

    Args:
        image_shape: (C, H, W); H and W at least 12, so that something is left after two poolings.
        num_classes: K.

    Raises:
        ValueError: an image is smaller than 12 x 12.

    References:
        LeCun et al., Gradient-Based Learning Applied to Document Recognition, https://doi.org/10.1109/5.726791
    """

    MIN_SIZE = 12

    def __init__(self, image_shape: ImageShape, num_classes: int) -> None:
        channels, height, width = image_shape
        if min(height, width) < self.MIN_SIZE:
            raise ValueError(
                f"images of {height} x {width} pixels are too small for LeNet, which needs "
                f"{self.MIN_SIZE} x {self.MIN_SIZE}; try dataset.resize=28"
            )
        # The first convolution keeps the size (28 -> 28), the second takes 4 pixels off (14 -> 10).
        features = 16 * ((height // 2 - 4) // 2) * ((width // 2 - 4) // 2)
        super().__init__(
            nn.Conv2d(channels, 6, kernel_size=5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, kernel_size=5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(features, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, num_classes),
        )
