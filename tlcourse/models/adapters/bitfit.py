"""BitFit: train the biases alone, with the scales and shifts of normalisation, and leave all filters as they are."""

from torch import nn

from tlcourse.models.adapters.lora import freeze_but_head, norm_parameters
from tlcourse.transfer.freezing import BatchNormPolicy


def bitfit(model: nn.Module, *, scales: bool = True, batchnorm: BatchNormPolicy = "keep") -> nn.Module:
    """Freeze a network in place, but for its biases and its head.

    In a network with batch normalisation the biases are the shifts of that normalisation. With `scales`, its factors
    learn too. The running statistics stay with `batchnorm="keep"`, see `add_lora`.

    Source: Ben Zaken, Goldberg and Ravfogel, "BitFit: Simple parameter-efficient fine-tuning for transformer-based
    masked language-models", 2022, ACL.
    """
    freeze_but_head(model, batchnorm)
    factors = norm_parameters(model) if scales else []
    biases = [parameter for name, parameter in model.named_parameters() if name.rpartition(".")[2] == "bias"]
    for parameter in (*biases, *factors):
        parameter.requires_grad_(True)
    return model
