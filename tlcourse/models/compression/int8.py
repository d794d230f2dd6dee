"""Whole numbers of 8 bits by hand: a scale, a zero point, and layers that multiply and add whole numbers alone.

A real number `r` is stored as a whole number `q` with `r = scale * (q - zero_point)`. Weights are symmetric, -127 to
127 with zero point 0; what goes into a layer is 0 to 255, with a zero point of its own.

Source: Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference",
2018, CVPR.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

LEVELS = 255  # steps between the smallest and the largest whole number of 8 bits without a sign
LARGEST = 127  # with a sign; -128 is left out, so that weights and their negatives have the same numbers
EXACT_IN_FLOAT32 = 2**24  # up to here every whole number is a float32, and so is every sum of whole numbers
LONGEST_SUM = 2**31 // (LEVELS * LARGEST)  # products that surely fit into an accumulator of 32 bits


class Affine(NamedTuple):
    """How real numbers and the whole numbers 0 to 255 belong together."""

    scale: float
    zero_point: int  # the whole number that stands for 0

    def quantize(self, x: torch.Tensor) -> torch.Tensor:
        """Return the nearest whole numbers, uint8; what lies outside the range is cut off at its ends."""
        return (x / self.scale).round().add(self.zero_point).clamp(0, LEVELS).to(torch.uint8)

    def dequantize(self, q: torch.Tensor) -> torch.Tensor:
        """Return the real numbers that whole numbers stand for, float32."""
        return self.scale * (q.float() - self.zero_point)


def affine(low: float, high: float) -> Affine:
    """Return scale and zero point for real numbers from `low` to `high`, widened so that 0 is exact.

    Zeros are everywhere, after every ReLU and in every padded rim: an error in them would add up. Raises ValueError
    where the range is no range.
    """
    if not -float("inf") < low <= high < float("inf"):
        raise ValueError(f"the range goes from {low} to {high}, but finite numbers in rising order were expected.")
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / LEVELS or 1.0  # any scale suits a layer that only ever sees zeros
    return Affine(scale, round(-low / scale))


def weight_scales(weight: torch.Tensor, per_channel: bool = True) -> torch.Tensor:
    """Return what a step of 1 stands for in the weights of every output channel, float32 `[out]`.

    Without `per_channel` all have that of the largest weight, and a channel of small weights is left with few steps.
    """
    largest = weight.detach().abs().flatten(1).amax(1)
    if not per_channel:
        largest = largest.max().expand_as(largest)
    return torch.where(largest > 0, largest / LARGEST, torch.ones_like(largest))


def quantize_weights(weight: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
    """Return the nearest whole numbers, int8 of the shape of the weight, `[out, ...]`; scales are `[out]`."""
    steps = weight.detach() / scales.view(-1, *[1] * (weight.ndim - 1))
    return steps.round().clamp(-LARGEST, LARGEST).to(torch.int8)


class Int8Layer(nn.Module):
    """A convolution or linear layer in whole numbers; what goes in and what comes out are real numbers.

    Inside: input to 8 bits, products summed in 32 bits, bias added in 32 bits, then one factor a channel back to real
    numbers. Processors with instructions for 8 bits do this quickly. Here sums are computed in floating point wherever
    that is exact, so that the answers are those of such a processor, but not its speed.
    """

    options: dict[str, object]  # of the convolution; none for a linear layer

    def __init__(self, layer: nn.Conv2d | nn.Linear) -> None:
        """Take over the shape of a layer, with nothing in it yet."""
        super().__init__()
        shape, channels = layer.weight.shape, layer.weight.shape[0]
        self.of_images = isinstance(layer, nn.Conv2d)
        if self.of_images:
            names = ("stride", "padding", "dilation", "groups")
            self.options = {name: getattr(layer, name) for name in names}
        else:
            self.options, self.in_features, self.out_features = {}, layer.in_features, layer.out_features
        kinds = {
            "weight": torch.zeros(shape, dtype=torch.int8),
            "weight_scale": torch.ones(channels),
            "bias": torch.zeros(channels, dtype=torch.int32),
            "input_scale": torch.ones(()),
            "zero_point": torch.zeros((), dtype=torch.uint8),
        }
        for name, tensor in kinds.items():
            setattr(self, name, nn.Parameter(tensor.to(layer.weight.device), requires_grad=False))

    @torch.no_grad()
    def fill(self, layer: nn.Conv2d | nn.Linear, inputs: Affine, per_channel: bool = True) -> "Int8Layer":
        """Round a layer's weights and bias, for inputs of a known range. ValueError where sums may not fit 32 bits."""
        if layer.weight[0].numel() > LONGEST_SUM:
            raise ValueError(
                f"a layer adds up {layer.weight[0].numel():,} products of 8 bits, but only {LONGEST_SUM:,} surely fit "
                "into 32 bits. Leave this layer out."
            )
        scales = weight_scales(layer.weight, per_channel)
        self.weight.copy_(quantize_weights(layer.weight, scales))
        self.weight_scale.copy_(scales)
        self.input_scale.fill_(inputs.scale)
        self.zero_point.fill_(inputs.zero_point)
        if layer.bias is not None:
            steps = (layer.bias.double() / (inputs.scale * scales.double())).round()
            self.bias.copy_(steps.clamp(-(2**31) + 1, 2**31 - 1))
        return self

    @property
    def inputs(self) -> Affine:
        """How this layer stores what goes into it."""
        return Affine(float(self.input_scale), int(self.zero_point))

    def accumulate(self, q: torch.Tensor) -> torch.Tensor:
        """Sum the products of weights and of inputs, uint8, less their zero point: whole numbers, int32.

        The rim of a padded image is real zeros, so it is put around what the zero point was taken from already.
        """
        number = self._exact_type(q.device)
        centred, weight = q.to(number) - self.zero_point.to(number), self.weight.to(number)
        sums = F.conv2d(centred, weight, **self.options) if self.of_images else F.linear(centred, weight)
        return sums.round().to(torch.int32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn real numbers into real numbers, float32, as the layer that this one came from does."""
        channels = (-1, 1, 1) if self.of_images else (-1,)
        sums = self.accumulate(self.inputs.quantize(x)) + self.bias.view(channels)
        return sums * (self.input_scale * self.weight_scale).view(channels)

    def _exact_type(self, device: torch.device) -> torch.dtype:
        """Return the floating-point type in which no sum of this layer is rounded; a GPU may round float32 anyway."""
        longest = LEVELS * int(self.weight.long().abs().flatten(1).sum(1).max())
        return torch.float32 if longest <= EXACT_IN_FLOAT32 and device.type == "cpu" else torch.float64
