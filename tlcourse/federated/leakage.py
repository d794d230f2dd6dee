"""What a gradient gives away: an image rebuilt from the update that a client sends."""

import torch
import torch.nn.functional as F
from torch import nn


def rebuilt_inputs(weight_gradient: torch.Tensor, bias_gradient: torch.Tensor) -> torch.Tensor:
    """Divide the gradient of a linear layer's weights by that of its bias, row by row: rebuilt inputs `[R, D]`.

    The layer computes `h = W x + b`, so `dL/dW = dL/dh x^T` and `dL/db = dL/dh`. Row i of the first, `[H, D]`, is the
    input times a number, and that number stands in the second, `[H]`. For one image every row is the input, exactly.

    For several images both are sums over images n, and row i is the mean of the inputs with weights
    `dL_n/dh_i / (sum over m of dL_m/dh_i)`, some of which may be negative. It is a single image where the loss of no
    other depends on unit i: behind a ReLU, where unit i was active for that image alone.

    Rows come by the size of the bias gradient, the largest first, since rounding does least harm there; rows without
    one are left out. What holds for gradients holds for the difference of weights before and after plain gradient
    descent, whose rate cancels, also after many steps on the one image. After Adam it does not hold.

    Sources: Phong et al., "Privacy-preserving deep learning via additively homomorphic encryption", 2018, IEEE
    Transactions on Information Forensics and Security; where the layer is not the first, Geiping et al., "Inverting
    gradients: How easy is it to break privacy in federated learning?", 2020, NeurIPS; rows with one image, which a
    server can provoke by the weights it hands out, Boenisch et al., "When the curious abandon honesty: Federated
    learning is not private", 2023, IEEE EuroS&P. Convolutional networks have no such formula; there, images are found
    by optimisation: Zhu, Liu and Han, "Deep leakage from gradients", 2019, NeurIPS.
    """
    _check(weight_gradient, bias_gradient)
    order = bias_gradient.abs().argsort(descending=True, stable=True)
    rows = order[bias_gradient[order] != 0]
    if not len(rows):
        raise ValueError(
            "every gradient of the bias is 0, so there is nothing to divide by: no unit was active, or the loss is at "
            "its least. Expected at least one other than 0; take other weights, or another image."
        )
    return weight_gradient[rows] / bias_gradient[rows, None]


def rebuilt_input(weight_gradient: torch.Tensor, bias_gradient: torch.Tensor) -> torch.Tensor:
    """Return the input of a linear layer, `[D]`, from its gradients `[H, D]` and `[H]`, which are of one image.

    It is the first of `rebuilt_inputs`: from the row whose bias gradient is the largest.
    """
    return rebuilt_inputs(weight_gradient, bias_gradient)[0]


def sent_gradients(model: nn.Module, x: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what a client sends of the first linear layer: the gradients of its weights `[H, D]` and bias `[H]`.

    The loss is the mean cross-entropy of images, float `[N, ...]`, with class numbers `[N]`. The network stays as it
    is. ValueError where it has no linear layer with a bias.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.Linear) and module.bias is not None]
    if not layers:
        raise ValueError(f"{type(model).__name__} has no linear layer with a bias. Expected one, such as nn.Linear.")
    loss = F.cross_entropy(model(x), labels)
    return torch.autograd.grad(loss, (layers[0].weight, layers[0].bias))


def _check(weight_gradient: torch.Tensor, bias_gradient: torch.Tensor) -> None:
    if weight_gradient.ndim != 2 or bias_gradient.shape != weight_gradient.shape[:1]:
        raise ValueError(
            f"the gradients have shapes {list(weight_gradient.shape)} and {list(bias_gradient.shape)}. Expected [H, D] "
            "of the weights and [H] of the bias of one linear layer."
        )
    if not (torch.isfinite(weight_gradient).all() and torch.isfinite(bias_gradient).all()):
        raise ValueError("a gradient is infinite or not a number. Look for a training that broke.")
