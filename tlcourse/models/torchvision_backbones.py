"""ImageNet networks of torchvision, by name, with the surface that all networks of the course have."""

import itertools
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tlcourse.data.transforms import Preprocessing
from tlcourse.models.backbone_weights import find_weights, load_found
from tlcourse.repro import seeded
from tlcourse.transfer.heads import reset_classifier

# Auxiliary heads were a crutch for training from scratch before batch normalisation; transfer does not need them. With
# `transform_input` these two, whose weights were made elsewhere, take images normalised like those of all the others.
WITHOUT_CRUTCHES = {"aux_logits": False, "transform_input": True, "init_weights": True}
OPTIONS: dict[str, dict[str, Any]] = {"googlenet": WITHOUT_CRUTCHES, "inception_v3": WITHOUT_CRUTCHES}
CONTAINERS = ("features", "trunk_output", "layers", "blocks", "encoder")  # children that only hold other parts in a row
PARTS = 5  # into which a network is divided that keeps its resolution
SMALLEST_SWIN = 32  # five halvings leave one place; what torchvision calls the smallest is the size it was trained on


class TorchvisionBackbone(nn.Module):
    """A network of torchvision, divided into a body, which makes features, and a linear head.

    The head is the network's last linear layer, or SqueezeNet's last convolution; that one scores every place and
    averages after it set negative scores to zero, and here the average comes first. Call `preprocessing` on a
    photograph; `check_images` says which sizes of images the network takes.
    """

    head_name = "head"

    def __init__(self, name: str, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.name, self.preprocessing = name, preprocessing
        self.exact = name.startswith(("vit", "maxvit"))  # has learned a position for every patch, or divides windows
        self.side = preprocessing.crop if self.exact else _smallest(name)  # the smallest, or the only one
        self.body = build_net(name, preprocessing.crop)
        self.head_path = head_path(self.body)
        last = self.body.get_submodule(self.head_path)
        parent, _, child = self.head_path.rpartition(".")
        setattr(self.body.get_submodule(parent), child, nn.Identity())
        self.head = as_linear(last)
        self.num_features = self.head.in_features

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Turn prepared images, float `[B, 3, H, W]`, into features `[B, num_features]`: all of it but the head."""
        self.check_images(x)
        return self.body(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn prepared images, float `[B, 3, H, W]`, into logits `[B, classes]`."""
        return self.head(self.forward_features(x))

    def stages(self) -> dict[str, nn.Module]:
        """Return the parts of the body in order, from pixels to features, for freezing and for layer-wise rates.

        A stage begins where the resolution falls: at a convolution or pooling with a stride. Layers between the maps
        and the head are a last stage. A vision transformer keeps its resolution, and is divided into equal parts.
        """
        stages: list[list[nn.Module]] = []
        falls = False
        for piece in _pieces(self.body):
            falls = falls or _falls(piece) or piece is getattr(self.body, "classifier", None)
            if _has_weights(piece):
                if falls or not stages:
                    stages.append([])
                stages[-1].append(piece)
                falls = False
        if len(stages) <= 2:  # pixels to patches, and nothing after that
            whole = [piece for stage in stages for piece in stage]
            cuts = [round(len(whole) * part / PARTS) for part in range(PARTS + 1)]
            stages = [whole[start:end] for start, end in itertools.pairwise(cuts)]
        return {f"stage{number}": nn.ModuleList(stage) for number, stage in enumerate(stages, 1)}

    def check_images(self, x: torch.Tensor) -> None:
        """Raise TypeError or ValueError for a batch that the network cannot take."""
        if not x.is_floating_point():
            raise TypeError(
                f"{self.name} got {x.dtype} images, but normalised floats were expected. Prepare them with "
                "model.preprocessing(image), which takes a PIL image or bytes."
            )
        sides = x.shape[2:]
        if x.ndim != 4 or x.shape[1] != 3 or min(sides) < self.side or (self.exact and max(sides) > self.side):
            rule = "exactly" if self.exact else "at least"
            raise ValueError(
                f"{self.name} got images of shape {list(x.shape)}, but [B, 3, H, W] with {rule} {self.side} x "
                f"{self.side} pixels was expected. Prepare photographs with model.preprocessing(image); enlarge small "
                "images with torch.nn.functional.interpolate."
            )

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:  # noqa: ANN401
        """Load as every module does, from a plain dict too, such as the copy of the best weights that `fit` keeps."""
        if not hasattr(state_dict, "_metadata"):  # MNASNet insists on the version number that only PyTorch's dict has
            state_dict = OrderedDict(state_dict)
            state_dict._metadata = self.state_dict()._metadata
        return super().load_state_dict(state_dict, strict, assign)


def backbone_names() -> list[str]:
    """Return the names of all image classifiers in torchvision's registry, in alphabetical order."""
    from torchvision import models  # takes a while to import, and most of the course does without

    return models.list_models(module=models)


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


def build_net(name: str, side: int) -> nn.Module:
    """Make torchvision's network with random weights and 1000 classes; a vision transformer is made for one size."""
    from torchvision.models import get_model

    return get_model(name, weights=None, **OPTIONS.get(name, {}), **({"image_size": side} if name[:3] == "vit" else {}))


def head_path(net: nn.Module) -> str:
    """Return where a network's last layer is: its last linear layer, or SqueezeNet's last convolution."""
    kind = nn.Linear if any(isinstance(module, nn.Linear) for module in net.modules()) else nn.Conv2d
    return [name for name, module in net.named_modules() if isinstance(module, kind)][-1]


def as_linear(last: nn.Linear | nn.Conv2d) -> nn.Linear:
    """Return a network's last layer as a linear one with a bias; MaxViT's has none, and zeros change no logit."""
    classes, features = last.weight.shape[:2]
    head = nn.utils.skip_init(nn.Linear, features, classes, device=last.weight.device)
    with torch.no_grad():
        head.weight.copy_(last.weight.flatten(1))
        head.bias.copy_(last.weight.new_zeros(classes) if last.bias is None else last.bias)
    return head


def _smallest(name: str) -> int:
    from torchvision.models import get_model_weights

    return SMALLEST_SWIN if name.startswith("swin") else get_model_weights(name).DEFAULT.meta["min_size"][0]


def _pieces(net: nn.Module) -> Iterator[nn.Module]:
    """Yield a network's parts in order, those inside containers one by one, and parameters that belong to no part."""
    if own := list(net.parameters(recurse=False)):  # the class token and the positions of a vision transformer
        yield nn.ParameterList(own)
    for name, child in net.named_children():
        if name in CONTAINERS:
            yield from _pieces(child)
        else:
            yield child


def _has_weights(piece: nn.Module) -> bool:
    return next(piece.parameters(), None) is not None


def _falls(piece: nn.Module) -> bool:
    """Whether the resolution falls in a piece."""
    strides = (m.stride for m in piece.modules() if isinstance(m, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d))
    merges = any("PatchMerging" in type(module).__name__ for module in piece.modules())  # of Swin transformers
    return merges or any((stride if isinstance(stride, int) else max(stride)) > 1 for stride in strides)


def backbone(
    name: str, classes: int | None = None, weights: str | Path | None = "DEFAULT", *, progress: bool = True
) -> TorchvisionBackbone:
    """Make one of `backbone_names()`, with weights from ImageNet, ready for transfer, in training mode.

    `classes` asks for a fresh head, the only weights drawn from PyTorch's global generator; those given may then lack
    one. None keeps the head that the weights have, for ImageNet with 1000 classes. `weights` is a name of torchvision's
    (or its enum member), taken from torchvision's own cache or downloaded to it; a path to a state dict of
    torchvision's network, or of such a backbone that the course saved; or None for random ones. StorageError when a
    file is missing or damaged, or could not be downloaded.
    """
    if classes is not None and classes < 2:
        raise ValueError(f"{classes} classes were asked for. Expected at least 2, or None to keep the head.")
    check_name(name)
    if weights is None:
        model = TorchvisionBackbone(name, Preprocessing.for_weights(name))
    else:
        found = find_weights(name, weights, progress)
        with seeded("overwritten"):  # what is drawn here will be overwritten, and must not move the learner's generator
            model = TorchvisionBackbone(name, found.preprocessing)
            tensors = found.named_as_the_course_does(model.head_path)
            head = tensors.get("head.weight")
            if classes is None and head is not None and len(head) != model.head.out_features:
                reset_classifier(model, len(head))
            load_found(model, tensors, found.origin, keep_head=classes is None)
    if classes is not None:
        reset_classifier(model, classes)
    return model


@dataclass(frozen=True)
class BackboneFacts:
    """What torchvision publishes about a network's default weights: for choosing one before downloading it."""

    parameters: int  # the head for 1000 classes included
    megabytes: float  # size of the file
    top1: float  # accuracy on the validation images of ImageNet, in percent, as torchvision measured it


def backbone_facts(name: str) -> BackboneFacts:
    """Return what is known of a backbone's default weights, without network."""
    from torchvision.models import get_model_weights

    check_name(name)
    meta = get_model_weights(name).DEFAULT.meta
    return BackboneFacts(meta["num_params"], meta["_file_size"], meta["_metrics"]["ImageNet-1K"]["acc@1"])
