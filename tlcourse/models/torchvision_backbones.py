"""ImageNet networks of torchvision, by name, with the surface that all networks of the course have."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.data.normalisation import HALF, convert
from tlcourse.data.transforms import Preprocessing
from tlcourse.models.backbone_families import (
    PlacewiseHead,
    backbone_names,
    build_net,
    check_name,
    cut_stages,
    input_rule,
    take_head,
)
from tlcourse.models.backbone_weights import find_weights, load_found, match_head, weights_members
from tlcourse.repro import seeded
from tlcourse.transfer.heads import reset_classifier

__all__ = ["BackboneFacts", "TorchvisionBackbone", "backbone", "backbone_facts", "backbone_names", "imagenet_classes"]


class TorchvisionBackbone(nn.Module):
    """A network of torchvision, divided into a body, which makes features, and a linear head.

    Call its `preprocessing` on a photograph; `input_rule` says which sizes of images it takes.
    """

    head_name = "head"

    def __init__(self, name: str, net: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.name, self.preprocessing, self.input_rule = name, preprocessing, input_rule(name, net)
        head = take_head(net)
        self.body = net
        self.head = head
        self.num_features = head.in_features
        self.scaled_side: int | None = None  # above 0, or 0 for "as they are", where images of the course are taken

    def accept_scaled(self, side: int | None = None) -> "TorchvisionBackbone":
        """Take images as the course's own networks do from now on: -1..1, of any size; return the network itself.

        `fit`, `predict` and `extract_features` scale image sets so. Before they enter the body, such images are
        enlarged to `side` pixels and normalised as those that the network was trained on. Networks that were trained on
        224 x 224 see little in 32 x 32; 96 is a compromise that takes a fifth of the time. Photographs that
        `preprocessing` prepared must no longer be passed.
        """
        if side is not None:
            self.input_rule.check(torch.empty(0, 3, side, side), self.name)
        self.scaled_side = side or 0
        return self

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Turn prepared images, float `[B, 3, H, W]`, into features `[B, num_features]`: all of it but the head."""
        x = self.body(self._prepared(x))
        return x.mean((2, 3)) if x.ndim == 4 else x

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn prepared images, float `[B, 3, H, W]`, into logits `[B, classes]`."""
        return self.head(self.forward_features(x))

    def stages(self) -> dict[str, nn.Module]:
        """Return the parts of the body in order, from pixels to features, for freezing and for layer-wise rates."""
        return cut_stages(self.body)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:  # noqa: ANN401
        """Load as every module does, from a plain dict too, such as the copy of the best weights that `fit` keeps."""
        if not hasattr(state_dict, "_metadata"):  # MNASNet insists on the version number that only PyTorch's dict has
            state_dict = OrderedDict(state_dict)
            state_dict._metadata = self.state_dict()._metadata
        return super().load_state_dict(state_dict, strict, assign)

    def _prepared(self, x: torch.Tensor) -> torch.Tensor:
        """Check the images, and turn those of the course into those of ImageNet where that was asked for."""
        if self.scaled_side is not None and x.ndim == 4 and x.is_floating_point():
            if self.scaled_side:
                x = F.interpolate(x, (self.scaled_side,) * 2, mode="bilinear", antialias=True, align_corners=False)
            x = convert(x, HALF, self.preprocessing.statistics)
        self.input_rule.check(x, self.name)
        return x


class Squeezed(TorchvisionBackbone):
    """SqueezeNet: its own head scores every place of the maps; a new one gets their average, as everywhere else."""

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Turn prepared images, float `[B, 3, H, W]`, into features `[B, num_features]`."""
        return self._maps(x).mean((2, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn prepared images, float `[B, 3, H, W]`, into logits `[B, classes]`."""
        maps = self._maps(x)
        own = isinstance(self.head, PlacewiseHead)
        return self.head.everywhere(maps) if own else self.head(maps.mean((2, 3)))

    def _maps(self, x: torch.Tensor) -> torch.Tensor:
        """Return what stands before the head, `[B, num_features, h, w]`."""
        return self.body.classifier(self.body.features(self._prepared(x)))


def backbone(
    name: str, classes: int | None = None, weights: str | Path | None = "DEFAULT", *, progress: bool = True
) -> TorchvisionBackbone:
    """Make one of `backbone_names()`, with weights from ImageNet, ready for transfer, in training mode.

    `classes` asks for a fresh head, the only weights drawn from PyTorch's global generator; None keeps the head that
    the weights have, for ImageNet with 1000 classes. `weights` is a name of torchvision's (or its enum member), taken
    from torchvision's own cache or downloaded to it; a path to a state dict of torchvision's network, or of such a
    backbone that the course saved; or None for random ones. StorageError when a file is missing or damaged, or could
    not be downloaded.
    """
    if classes is not None and classes < 2:
        raise ValueError(f"{classes} classes were asked for. Expected at least 2, or None to keep the head.")
    model = _fresh(name) if weights is None else _loaded(name, weights, progress)
    if classes is not None:
        reset_classifier(model, classes)
    return model


def _fresh(name: str) -> TorchvisionBackbone:
    """Make a network with random weights."""
    return _take_apart(name, build_net(name), Preprocessing.for_weights(name))


def _loaded(name: str, weights: str | Path, progress: bool) -> TorchvisionBackbone:
    """Make a network and read its weights."""
    found = find_weights(name, weights, progress)
    with seeded("overwritten"):  # what is drawn here will be overwritten, and must not move the learner's generator
        net = build_net(name, found.image_side)
        if not found.from_course:
            match_head(net, found)
            load_found(net, found, name)
            return _take_apart(name, net, found.preprocessing)
        model = _take_apart(name, net, found.preprocessing)
        head = found.tensors.get("head.weight")
        if head is not None and head.ndim == 2 and len(head) != model.head.out_features:
            reset_classifier(model, len(head))
        load_found(model, found, name)
        return model


def _take_apart(name: str, net: nn.Module, preprocessing: Preprocessing) -> TorchvisionBackbone:
    kind = Squeezed if name.startswith("squeezenet") else TorchvisionBackbone
    return kind(name, net, preprocessing)


@dataclass(frozen=True)
class BackboneFacts:
    """What torchvision publishes about weights: for choosing a backbone before downloading it."""

    name: str
    weights: str
    parameters: int  # the head for 1000 classes included
    multiply_adds: float  # billions an image, at the size they were trained on
    megabytes: float  # size of the file
    top1: float  # accuracy on the validation images of ImageNet, in percent, as torchvision measured it
    preprocessing: Preprocessing


def backbone_facts(name: str, weights: str = "DEFAULT") -> BackboneFacts:
    """Return what is known of a backbone's weights, without network; `nan` where torchvision says nothing."""
    check_name(name)
    preprocessing, member = Preprocessing.for_weights(name, weights), weights_members(name)[weights]
    meta, unknown = member.meta, float("nan")
    top1 = meta.get("_metrics", {}).get("ImageNet-1K", {}).get("acc@1", unknown)
    return BackboneFacts(
        name,
        member.name,
        meta["num_params"],
        meta.get("_ops", unknown),
        meta.get("_file_size", unknown),
        top1,
        preprocessing,
    )


def imagenet_classes() -> tuple[str, ...]:
    """Return the names of ImageNet's 1000 classes in the order of the logits of a kept head."""
    return tuple(weights_members("resnet18")["DEFAULT"].meta["categories"])
