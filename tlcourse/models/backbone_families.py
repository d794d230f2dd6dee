"""What differs between torchvision's networks: how each is built, its head, its stages, the images it takes."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

# Auxiliary heads were a crutch for training from scratch before batch normalisation; transfer does not need them. With
# `transform_input` these two, whose weights were made elsewhere, take images normalised like those of all the others.
WITHOUT_CRUTCHES = {"aux_logits": False, "transform_input": True, "init_weights": True}
OPTIONS: dict[str, dict[str, Any]] = {"googlenet": WITHOUT_CRUTCHES, "inception_v3": WITHOUT_CRUTCHES}
CONTAINERS = ("features", "trunk_output", "layers", "blocks")  # children that only hold other parts in a row
TRANSFORMER_PARTS = 4  # into which the layers of a vision transformer are divided
SMALLEST_SWIN = 32  # five halvings leave one place; what torchvision calls the smallest is the size it was trained on


def backbone_names() -> list[str]:
    """Return the names of all image classifiers in torchvision's registry, in alphabetical order."""
    from torchvision import models  # takes a while to import, and most of the course does without

    return models.list_models(module=models)


def build_net(name: str, image_side: int | None = None) -> nn.Module:
    """Make torchvision's network with random weights and 1000 classes, without auxiliary heads.

    `image_side` is for a vision transformer: height and width of its images in pixels, where not its usual ones.
    """
    from torchvision.models import get_model

    check_name(name)
    options = OPTIONS.get(name, {}) | ({"image_size": image_side} if image_side else {})
    return get_model(name, weights=None, **options)


def check_name(name: str) -> None:
    """Raise ValueError with the names that come nearest when torchvision has no image classifier of that name."""
    import difflib

    names = backbone_names()
    if name not in names:
        near = difflib.get_close_matches(str(name).lower(), names, 4, 0.5)
        hint = f"Did you mean {' or '.join(map(repr, near))}? " if near else ""
        raise ValueError(
            f"there is no backbone {name!r}. {hint}Expected one of the {len(names)} names that backbone_names() lists."
        )


def head_path(net: nn.Module) -> str:
    """Return where a network's last layer is: its last linear layer, or SqueezeNet's last convolution."""
    kind = nn.Linear if any(isinstance(module, nn.Linear) for module in net.modules()) else nn.Conv2d
    return [name for name, module in net.named_modules() if isinstance(module, kind)][-1]


def fit_head(net: nn.Module, classes: int) -> None:
    """Give a torchvision network a last layer of the same kind for another number of classes, in place."""
    path = head_path(net)
    old = net.get_submodule(path)
    if isinstance(old, nn.Conv2d):
        new = nn.Conv2d(old.in_channels, classes, 1)
    else:
        new = nn.Linear(old.in_features, classes, bias=old.bias is not None)
    _put(net, path, new)


def take_head(net: nn.Module) -> nn.Linear:
    """Take the last layer off, so that the network gives features, and return it as a linear layer with a bias."""
    path = head_path(net)
    layer = net.get_submodule(path)
    if isinstance(layer, nn.Conv2d):  # a 1x1 convolution is a linear layer at every place
        net.classifier = net.classifier[0]  # the dropout before it stays
        head = PlacewiseHead(layer.in_channels, layer.out_channels, device=layer.weight.device)
        head.weight, head.bias = nn.Parameter(layer.weight.detach().flatten(1)), layer.bias
        return head
    _put(net, path, nn.Identity())
    if layer.bias is None:  # MaxViT's: a bias of zeros changes no score, and every head of the course has one
        layer.bias = nn.Parameter(layer.weight.new_zeros(layer.out_features))
    return layer


def _put(net: nn.Module, path: str, part: nn.Module) -> None:
    parent, _, child = path.rpartition(".")
    setattr(net.get_submodule(parent), child, part)


class PlacewiseHead(nn.Linear):
    """SqueezeNet's own head: it scores every place, sets negative scores to zero, and then averages."""

    def everywhere(self, maps: torch.Tensor) -> torch.Tensor:
        """Turn maps `[B, F, H, W]` into scores `[B, classes]`."""
        return self(maps.flatten(2).transpose(1, 2)).relu().mean(1)  # [B, places, classes] -> [B, classes]


def cut_stages(net: nn.Module) -> dict[str, nn.Module]:
    """Divide a network of torchvision without its head into stages, from pixels to features, each parameter in one.

    A stage begins where the resolution falls: at a convolution or pooling with a stride. A vision transformer keeps its
    resolution; its layers are divided into four equal parts. Layers between the maps and the head that are linear
    themselves are a last stage, the neck.
    """
    from torchvision.models import VisionTransformer

    parts = _transformer_parts(net) if isinstance(net, VisionTransformer) else _resolution_parts(net)
    stages = {f"stage{number}": part for number, part in enumerate(parts, 1)}
    rest = getattr(net, "classifier", nn.Identity())  # what stands before the head
    if any(isinstance(module, nn.Linear) for module in rest.modules()):
        stages["neck"] = [rest]
    elif _has_weights(rest):  # only a normalisation
        parts[-1].append(rest)
    return {name: nn.ModuleList(part) for name, part in stages.items()}


def _resolution_parts(net: nn.Module) -> list[list[nn.Module]]:
    """Group a network's pieces; a new group begins where the resolution falls."""
    parts: list[list[nn.Module]] = []
    falls = False
    for piece in _pieces(net):
        falls = falls or _falls(piece)
        if _has_weights(piece):
            if falls or not parts:
                parts.append([])
            parts[-1].append(piece)
            falls = False
    return parts


def _transformer_parts(net: nn.Module) -> list[list[nn.Module]]:
    """Group a vision transformer: patches, class token and positions; then its layers in four parts."""
    layers, count = list(net.encoder.layers), len(net.encoder.layers)
    # a stage is made of modules, so the two parameters that belong to none get a list of their own
    first = [net.conv_proj, nn.ParameterList([net.class_token, net.encoder.pos_embedding])]
    cuts = [round(count * part / TRANSFORMER_PARTS) for part in range(TRANSFORMER_PARTS + 1)]
    parts = [layers[start:end] for start, end in itertools.pairwise(cuts)]
    return [first, *parts[:-1], [*parts[-1], net.encoder.ln]]


def _pieces(net: nn.Module) -> Iterator[nn.Module]:
    """Yield a network's parts in order, those inside containers one by one, without what stands before the head."""
    for name, child in net.named_children():
        if name in CONTAINERS:
            yield from child.children()
        elif name != "classifier":
            yield child


def _falls(piece: nn.Module) -> bool:
    """Whether the resolution falls in a piece."""
    from torchvision.models import swin_transformer as swin

    for module in piece.modules():
        if isinstance(module, swin.PatchMerging | swin.PatchMergingV2):
            return True
        if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            stride = module.stride
            if (stride if isinstance(stride, int) else max(stride)) > 1:
                return True
    return False


def _has_weights(module: nn.Module) -> bool:
    return next(module.parameters(), None) is not None


@dataclass(frozen=True)
class InputRule:
    """Which images a network takes."""

    side: int  # the smallest height and width, in pixels
    exact: bool  # whether it is the only one

    def check(self, x: torch.Tensor, name: str) -> None:
        """Raise TypeError or ValueError for a batch that the network cannot take."""
        if not x.is_floating_point():
            raise TypeError(
                f"{name} got {x.dtype} images, but normalised floats were expected. Prepare them with "
                "model.preprocessing(image), which takes a PIL image or bytes."
            )
        sides = x.shape[2:]
        if x.ndim != 4 or x.shape[1] != 3 or min(sides) < self.side or (self.exact and max(sides) > self.side):
            rule = "exactly" if self.exact else "at least"
            raise ValueError(
                f"{name} got images of shape {list(x.shape)}, but [B, 3, H, W] with {rule} {self.side} x {self.side} "
                "pixels was expected. Prepare photographs with model.preprocessing(image); enlarge small images with "
                "torch.nn.functional.interpolate, or let model.accept_scaled(side) do it."
            )


def input_rule(name: str, net: nn.Module) -> InputRule:
    """Return which images a network takes, mostly from what torchvision says of its weights."""
    from torchvision.models import MaxVit, SwinTransformer, VisionTransformer, get_model_weights

    if isinstance(net, VisionTransformer):  # it has learned a position for every patch
        return InputRule(net.image_size, exact=True)
    if isinstance(net, SwinTransformer):
        return InputRule(SMALLEST_SWIN, exact=False)
    return InputRule(get_model_weights(name).DEFAULT.meta["min_size"][0], exact=isinstance(net, MaxVit))
