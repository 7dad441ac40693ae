"""Models: shapes, layers and initial weights."""

import pytest
import torch

from fashion_softmax.learning.models import MLP, LeNet, SoftmaxRegression


def test_softmax_regression_is_flatten_and_linear() -> None:
    model = SoftmaxRegression((2, 3, 4), 5).double()
    images = torch.rand(7, 2, 3, 4, dtype=torch.float64)
    expected = torch.nn.functional.linear(images.flatten(1), model.weight, model.bias)
    torch.testing.assert_close(model(images), expected)


def test_softmax_regression_draws_normal_weights() -> None:
    torch.manual_seed(0)
    model = SoftmaxRegression((1, 28, 28), 10, init_std=0.01)
    # 7 840 draws: their mean and deviation are within 4 standard errors of 0 and 0.01.
    assert model.weight.mean().item() == pytest.approx(0, abs=4 * 0.01 / 7840**0.5)
    assert model.weight.std().item() == pytest.approx(0.01, rel=4 / (2 * 7840) ** 0.5)
    assert not model.bias.any()


@pytest.mark.parametrize("image_shape", [(3, 12, 12), (1, 13, 17)])
@pytest.mark.parametrize("model_class", [SoftmaxRegression, MLP, LeNet])
def test_model_gives_one_logit_per_class(model_class: type, image_shape: tuple[int, int, int]) -> None:
    assert model_class(image_shape, 7)(torch.rand(2, *image_shape)).shape == (2, 7)


def test_mlp_has_the_layers_asked_for() -> None:
    model = MLP((1, 2, 2), 3, hidden_sizes=[5, 6], dropout=0.1)
    assert [type(layer).__name__ for layer in model] == "Flatten Linear ReLU Dropout Linear ReLU Dropout Linear".split()
    assert [tuple(parameter.shape) for parameter in model.parameters() if parameter.ndim == 2] == [
        (5, 4),
        (6, 5),
        (3, 6),
    ]


def test_lenet_refuses_images_it_would_pool_away() -> None:
    with pytest.raises(ValueError, match="11 x 28 pixels are too small for LeNet, which needs 12 x 12"):
        LeNet((1, 11, 28), 10)
