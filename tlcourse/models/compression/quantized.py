"""A whole network in 8 bits: calibrated on images, a quarter of the bytes on disk, and read back without images."""

import copy
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from tlcourse.data.normalisation import scale
from tlcourse.models.compression.folding import fold_batchnorm, replace
from tlcourse.models.compression.int8 import Int8Layer, affine
from tlcourse.storage import StorageError, Tensors, read_tensors, save_tensors

BATCH = 100
KINDS = (nn.Conv2d, nn.Linear)


def quantize(model: nn.Module, images: torch.Tensor, *, per_channel: bool = True) -> nn.Module:
    """Return a copy of a network whose convolutions and linear layers compute in whole numbers of 8 bits.

    It is called as before, has the same stages and head, and cannot be trained. Batch normalisation is folded first;
    additions, activations and pooling stay in floating point. `images` calibrate: they say from where to where the
    numbers go that every layer sees. They are uint8 `[N, 3, H, W]` for the course's networks, or floats as the network
    takes them, from training and never from the test. Some tens of every class are enough. Raises ValueError for no
    images, and for a network without a layer that could be taken.

    Source: Krishnamoorthi, "Quantizing deep convolutional networks for efficient inference: A whitepaper", 2018, arXiv
    1806.08342.
    """
    batches = _prepared(model, images)
    folded = fold_batchnorm(model, batches[0])
    ranges = input_ranges(folded, batches)
    if not ranges:
        raise ValueError(f"{type(model).__name__} has no convolution and no linear layer that could be in 8 bits.")
    for name, (low, high) in ranges.items():
        layer = folded.get_submodule(name)
        replace(folded, name, Int8Layer(layer).fill(layer, affine(low, high), per_channel))
    return folded


@torch.no_grad()
def input_ranges(model: nn.Module, batches: list[torch.Tensor]) -> dict[str, tuple[float, float]]:
    """Return the smallest and the largest number that every convolution and linear layer is given, by name."""
    ranges: dict[str, tuple[float, float]] = {}

    def watch(name: str, x: torch.Tensor) -> None:
        low, high = ranges.get(name, (float("inf"), -float("inf")))
        ranges[name] = min(low, x.min().item()), max(high, x.max().item())

    hooks = [
        layer.register_forward_pre_hook(lambda _, inputs, name=name: watch(name, inputs[0]))
        for name, layer in model.named_modules()
        if type(layer) in KINDS and getattr(layer, "padding_mode", "zeros") == "zeros"
    ]
    try:
        for x in batches:
            model(x)
    finally:
        for hook in hooks:
            hook.remove()
    return ranges


def is_int8(tensors: Mapping[str, torch.Tensor]) -> bool:
    """Say whether tensors by name are those of a network in 8 bits."""
    return any(tensor.dtype == torch.int8 for tensor in tensors.values())


def save_int8(path: Path | str, model: nn.Module) -> Path:
    """Write a network in 8 bits as safetensors, about a quarter of the bytes; ValueError for one that is not."""
    if not is_int8(model.state_dict()):
        raise ValueError(
            f"this {type(model).__name__} is not in 8 bits. Expected what quantize(model, images) returned."
        )
    return save_tensors(path, model.state_dict())


def load_int8(path: Path | str, model: nn.Module) -> nn.Module:
    """Read a network in 8 bits back; `model` is any network of the same architecture, and stays as it is.

    Raises StorageError where the file is missing, damaged, or not of this architecture in 8 bits.
    """
    try:
        return with_int8(model, read_tensors(path))
    except ValueError as error:
        raise StorageError(f"{path} cannot be used: {error}") from error


def with_int8(model: nn.Module, tensors: Tensors) -> nn.Module:
    """Return a copy of a network with the tensors of one in 8 bits; ValueError where they do not fit.

    No image is needed: a layer is in 8 bits where its weights are, and a batch normalisation without tensors of its own
    was folded.
    """
    model = copy.deepcopy(model).eval().requires_grad_(False)
    for name, layer in list(model.named_modules()):
        if isinstance(layer, nn.BatchNorm2d) and f"{name}.running_mean" not in tensors:
            replace(model, name, nn.Identity())
        weight = tensors.get(f"{name}.weight")
        if type(layer) in KINDS and weight is not None and weight.dtype == torch.int8:
            replace(model, name, Int8Layer(layer))
    _check(model, tensors)
    nn.Module.load_state_dict(model, tensors)
    return model


def _check(model: nn.Module, tensors: Tensors) -> None:
    """Refuse tensors of other names, shapes or types than the network's, and scales that are no scales."""
    own = model.state_dict()
    if not is_int8(tensors):
        raise ValueError("no tensor is int8. Expected a network that quantize(model, images) returned.")
    odd = [*sorted(own.keys() ^ tensors.keys())]
    odd += [n for n in own.keys() & tensors.keys() if _kind(own[n]) != _kind(tensors[n])]
    if odd:
        raise ValueError(
            f"these are not the tensors of {type(model).__name__} in 8 bits: {', '.join(odd[:3])} "
            f"{f'and {len(odd) - 3} more ' if len(odd) > 3 else ''}do not fit. Expected the same architecture and "
            "number of classes."
        )
    floats = [name for name, tensor in tensors.items() if tensor.is_floating_point()]
    bad = [n for n in floats if not tensors[n].isfinite().all() or (n.endswith("_scale") and (tensors[n] <= 0).any())]
    if bad:
        raise ValueError(f"{bad[0]} holds numbers that are no finite ones above 0. Copy or make the file again.")


def _kind(tensor: torch.Tensor) -> tuple[torch.dtype, torch.Size]:
    return tensor.dtype, tensor.shape


def _prepared(model: nn.Module, images: torch.Tensor) -> list[torch.Tensor]:
    """Return calibration images in batches, as the network takes them, on its device."""
    if images.ndim != 4 or not len(images):
        raise ValueError(f"images have shape {list(images.shape)}, but [N, 3, H, W] with at least one was expected.")
    device = next(model.parameters()).device
    return [(scale(part) if part.dtype == torch.uint8 else part).to(device) for part in images.split(BATCH)]
