"""Where the weights of a backbone come from: torchvision's cache, its server, or a file of one's own."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tlcourse.data.downloads import download
from tlcourse.data.transforms import Preprocessing
from tlcourse.models.backbone_families import check_name, fit_head, head_path
from tlcourse.storage import StorageError, Tensors, read_tensors
from tlcourse.transfer.weights import LoadReport, compare_weights, load_weights

HASH = re.compile(r"-([0-9a-f]{8,})\.\w+$")  # torchvision's files carry the beginning of their SHA-256 in their name
AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")  # heads of GoogLeNet and Inception that served their own training alone
COUNTER = "num_batches_tracked"  # of batch normalisation; weights from before 2018 lack it, and it does not matter here
# DenseNet's names in old files: torchvision has since taken the dot out of norm.1 and conv.2
OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")
ENDINGS = (".pth", ".pt", ".safetensors")


@dataclass(frozen=True)
class FoundWeights:
    """Weights that were read, and what belongs to them."""

    tensors: Tensors  # as torchvision names them, or with `body.` and `head.` as the course does
    origin: str  # for messages
    preprocessing: Preprocessing  # what their images must go through

    @property
    def image_side(self) -> int | None:
        """For a vision transformer, the size of its images in pixels, which follows from the positions it learned."""
        prefix = "body." if self.from_course else ""
        positions = self.tensors.get(f"{prefix}encoder.pos_embedding")
        patches = self.tensors.get(f"{prefix}conv_proj.weight")
        if positions is None or patches is None:
            return None
        return round((positions.shape[1] - 1) ** 0.5) * patches.shape[-1]  # one position more is the class token's

    @property
    def from_course(self) -> bool:
        """Whether a network of the course was saved: then its parts are called body and head."""
        return bool(self.tensors) and all(name.startswith(("body.", "head.")) for name in self.tensors)


def find_weights(name: str, weights: str | Path, progress: bool = True) -> FoundWeights:
    """Read torchvision's weights by name, `"DEFAULT"` or such as `"IMAGENET1K_V1"`, or a file.

    A name is looked for in torchvision's own cache first, and downloaded to it when it is not there. StorageError when
    a file is missing or damaged, or could not be downloaded.
    """
    check_name(name)
    members = weights_members(name)
    member = _member_name(name, weights)
    if member in members:
        file = _torchvision_file(name, members[member].url, progress)
        return FoundWeights(
            read_tensors(file), f"torchvision's {member} for {name}", Preprocessing.for_weights(name, member)
        )
    if not isinstance(weights, str | Path):
        raise TypeError(
            f"weights are a {type(weights).__name__}, but a name such as 'DEFAULT', a path or None was expected. To "
            "copy tensors that you have already, use load_weights(model, tensors)."
        )
    if isinstance(weights, str) and not weights.endswith(ENDINGS) and not Path(weights).exists():
        raise ValueError(
            f"{name} has no weights {weights!r}. Expected one of: {', '.join(members)}; the path of a file that ends "
            f"in {', '.join(ENDINGS)}; or None for random weights."
        )
    return _local(name, Path(weights))


def weights_members(name: str) -> dict[str, Any]:
    """Return torchvision's weights for a backbone by name, `"DEFAULT"` among them."""
    from torchvision.models import get_model_weights

    return dict(get_model_weights(name).__members__)


def _member_name(name: str, weights: str | Path | Enum) -> str | None:
    """Return the name after the dot of torchvision's weights, if these are of the backbone: a path is none."""
    from torchvision.models import get_model_weights

    if isinstance(weights, Enum):
        weights = f"{type(weights).__name__}.{weights.name}"
    return weights.removeprefix(f"{get_model_weights(name).__name__}.") if isinstance(weights, str) else None


def _torchvision_file(name: str, url: str, progress: bool) -> Path:
    """Return the file in torchvision's cache, downloaded when it is not there or not whole."""
    file = url.rpartition("/")[2]
    digits = HASH.search(file)
    return download(
        url,
        Path(torch.hub.get_dir()) / "checkpoints" / file,
        sha256=digits[1] if digits else None,
        progress=progress,
        meanwhile=f'Meanwhile, backbone("{name}", weights=PATH) reads a file that you have, weights=None gives random '
        'weights, and pretrained("tiny_resnet", "letters") came with the course.',
    )


def _local(name: str, path: Path) -> FoundWeights:
    """Read a file of the learner's own; its images are prepared as those of torchvision's default weights."""
    path = path.expanduser()
    if path.is_dir():
        raise StorageError(f"{path} is a folder, but a file of weights was expected, ending in {', '.join(ENDINGS)}.")
    found = FoundWeights(read_tensors(path), str(path), Preprocessing.for_weights(name))
    side = found.image_side
    if side in (None, found.preprocessing.crop):
        return found
    return replace(found, preprocessing=replace(found.preprocessing, resize=side, crop=side))


def load_found(net: nn.Module, found: FoundWeights, name: str) -> None:
    """Copy weights into a network if every name and shape agrees and every number is finite; else ValueError."""
    own = net.state_dict()
    offered = {
        OLD_DENSENET.sub(r"\1\2", key): tensor for key, tensor in found.tensors.items() if not key.startswith(AUXILIARY)
    }
    offered = {key: own[key] for key in own if key.endswith(COUNTER)} | offered
    report = compare_weights(net, offered)
    if report.missing or report.unexpected or report.mismatched:
        raise ValueError(_misfit(report, found, name))
    broken = [key for key, tensor in offered.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise ValueError(
            f"{found.origin} hold numbers that are infinite or not a number in {_some(broken)}. Expected finite ones; "
            "nothing was loaded. Choose other weights: these were made for another use, or are damaged."
        )
    load_weights(net, offered)


def match_head(net: nn.Module, found: FoundWeights) -> None:
    """Give a torchvision network as many classes as weights under torchvision's names have, in place."""
    path = head_path(net)
    theirs = found.tensors.get(f"{path}.weight")
    ours = net.get_submodule(path).weight
    if theirs is not None and theirs.shape[1:] == ours.shape[1:] and len(theirs) != len(ours):
        fit_head(net, len(theirs))


def _misfit(report: LoadReport, found: FoundWeights, name: str) -> str:
    """Say which names and shapes do not agree, without listing hundreds."""
    shapes = [f"{key} {list(theirs)} for {list(ours)}" for key, (theirs, ours) in report.mismatched.items()]
    groups = (
        ("are missing", report.missing),
        ("belong to no layer", report.unexpected),
        ("have another shape", shapes),
    )
    fitting = sum(OLD_DENSENET.sub(r"\1\2", key) in report.loaded for key in found.tensors)
    problems = "; ".join(f"{len(keys)} {what} ({_some(keys)})" for what, keys in groups if keys)
    wrapped = report.unexpected and all(key.startswith("module.") for key in report.unexpected)
    advice = (
        'Every name begins with "module.", as nn.DataParallel writes it: take that off and save again.'
        if wrapped
        else f"Expected the state dict of torchvision's {name}, or of that backbone as the course saves it. Is it the "
        "network that the weights were made for?"
    )
    return (
        f"{found.origin} do not fit {name}; nothing was loaded. {fitting} of its tensors would fit; {problems}. "
        f"{advice}"
    )


def _some(names: Iterable[str], count: int = 3) -> str:
    """Name the first few."""
    names = list(names)
    return ", ".join(names[:count]) + (f" and {len(names) - count} more" if len(names) > count else "")
