"""Where the weights of a backbone come from: torchvision's cache, its server, or a file of one's own."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import torch
from torch import nn

from tlcourse.data.downloads import download, has_hash
from tlcourse.data.transforms import Preprocessing
from tlcourse.storage import StorageError, Tensors, read_tensors
from tlcourse.transfer.weights import LoadReport, compare_weights, load_weights, some

HASH = re.compile(r"-([0-9a-f]{8,})\.\w+$")  # torchvision's files carry the beginning of their SHA-256 in their name
AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")  # heads of GoogLeNet and Inception that served their own training alone
COUNTER = "num_batches_tracked"  # of batch normalisation; weights from before 2018 lack it, and it does not matter here
# DenseNet's names in old files: torchvision has since taken the dot out of norm.1 and conv.2
OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")
ENDINGS = (".pth", ".pt", ".safetensors")
WRAPPERS = {"module.": "nn.DataParallel", "_orig_mod.": "torch.compile", "model.": "Lightning"}


@dataclass(frozen=True)
class FoundWeights:
    """Weights that were read, and what belongs to them."""

    tensors: Tensors  # as torchvision names them, or with `body.` and `head.` as the course does
    origin: str  # for messages
    preprocessing: Preprocessing  # what their images must go through

    def named_as_the_course_does(self, head: str) -> Tensors:
        """Return the tensors as `body.` and `head.`; `head` is the path of the last layer in torchvision's network."""
        if all(name.startswith(("body.", "head.")) for name in self.tensors):
            return self.tensors
        named = {}
        for name, tensor in self.tensors.items():
            if name.startswith(f"{head}."):  # flattened, for a 1x1 convolution is a linear layer
                named["head" + name.removeprefix(head)] = tensor.flatten(1) if tensor.ndim == 4 else tensor
            elif not name.startswith(AUXILIARY):
                named["body." + OLD_DENSENET.sub(r"\1\2", name)] = tensor
        if "head.weight" in named:  # MaxViT's has no bias; one of zeros changes no score
            named.setdefault("head.bias", named["head.weight"].new_zeros(len(named["head.weight"])))
        return named


def find_weights(name: str, weights: str | Path, progress: bool = True) -> FoundWeights:
    """Read torchvision's weights by name, `"DEFAULT"` or such as `"IMAGENET1K_V1"`, or a file.

    A name is looked for in torchvision's own cache first, and downloaded to it when it is not there. The images of a
    file that torchvision published are prepared as it says, those of another file as for its default weights.
    StorageError when a file is missing or damaged, or could not be downloaded.
    """
    from torchvision.models import get_model_weights  # takes a while to import, and is not always needed

    published = get_model_weights(name)
    member = f"{type(weights).__name__}.{weights.name}" if isinstance(weights, Enum) else weights
    if not isinstance(member, str | Path):
        raise TypeError(
            f"weights are a {type(weights).__name__}, but a name such as 'DEFAULT', a path or None was expected. To "
            "copy tensors that you have already, use load_weights(model, tensors)."
        )
    member = str(member).removeprefix(f"{published.__name__}.")
    if member in published.__members__:
        tensors = read_tensors(_torchvision_file(name, published[member].url, progress))
        return FoundWeights(tensors, f"torchvision's {member} for {name}", Preprocessing.for_weights(name, member))
    path = Path(weights).expanduser()
    if isinstance(weights, str) and not weights.endswith(ENDINGS) and not path.exists():
        raise ValueError(
            f"{name} has no weights {weights!r}. Expected one of: {', '.join(published.__members__)}; the path of a "
            f"file that ends in {', '.join(ENDINGS)}; or None for random weights."
        )
    if path.is_dir():
        raise StorageError(f"{path} is a folder, but a file of weights was expected, ending in {', '.join(ENDINGS)}.")
    of = published_as(name, path) or "DEFAULT"
    return FoundWeights(read_tensors(path), str(path), Preprocessing.for_weights(name, of))


def published_as(name: str, path: Path) -> str | None:
    """Return which of torchvision's weights a file is, by its name and its hash; None where it is none of them."""
    from torchvision.models import get_model_weights

    for member in get_model_weights(name):
        file = _file_name(member.url)
        if path.name == file and has_hash(path, HASH.search(file)[1]):
            return member.name
    return None


def file_names(name: str) -> list[str]:
    """Return how a file with weights of a backbone may be called: by its name, or as torchvision publishes it."""
    from torchvision.models import get_model_weights

    weights = get_model_weights(name)
    published = dict.fromkeys(_file_name(member.url) for member in (weights.DEFAULT, *weights))
    return [*(name + ending for ending in ENDINGS), *published]


def licence(name: str, weights: str | Path) -> str:
    """Return the licence of weights as far as torchvision states one; a file of one's own does not say.

    Source: README of torchvision, "Pre-trained Model License".
    """
    from torchvision.models import get_model_weights

    published = get_model_weights(name)
    member = published_as(name, Path(weights)) if weights not in published.__members__ else weights
    if member is None:
        return "unknown"
    return "CC BY-NC 4.0" if "SWAG" in published[member].meta.get("license", "") else "none stated"


def _torchvision_file(name: str, url: str, progress: bool) -> Path:
    """Return the file in torchvision's cache, downloaded when it is not there or not whole."""
    file = _file_name(url)
    return download(
        url,
        Path(torch.hub.get_dir()) / "checkpoints" / file,
        HASH.search(file)[1],
        progress=progress,
        meanwhile=f'Meanwhile, backbone("{name}", weights=PATH) reads a file that you have, weights=None gives random '
        'weights, and pretrained("tiny_resnet", "letters") came with the course.',
    )


def _file_name(url: str) -> str:
    return url.rpartition("/")[2]


def load_found(model: nn.Module, tensors: Tensors, origin: str, keep_head: bool = True) -> None:
    """Copy weights into a network if every name and shape agrees and every number is finite; else ValueError.

    Without `keep_head`, the head of the network stays as it is, whatever the weights hold for it.
    """
    own = model.state_dict()
    head = {key: own[key] for key in own if key.startswith(f"{model.head_name}.") and not keep_head}
    offered = {key: own[key] for key in own if key.endswith(COUNTER)} | tensors | head
    report = compare_weights(model, offered)
    if report.missing or report.unexpected or report.mismatched:
        raise ValueError(_misfit(report, origin, getattr(model, "name", type(model).__name__)))
    try:
        load_weights(model, offered)
    except ValueError as error:
        raise ValueError(f"{origin}: {error}") from error


def _misfit(report: LoadReport, origin: str, name: str) -> str:
    """Say which names and shapes do not agree, without listing hundreds."""
    shapes = [f"{key} {list(theirs)} for {list(ours)}" for key, (theirs, ours) in report.mismatched.items()]
    groups = (
        ("are missing", report.missing),
        ("belong to no layer", report.unexpected),
        ("have another shape", shapes),
    )
    problems = "; ".join(f"{len(keys)} {what} ({some(keys)})" for what, keys in groups if keys)
    return (
        f"{origin} do not fit {name}; nothing was loaded. {problems}. Expected the state dict of {name} as torchvision "
        f"or the course names its tensors.{_wrapped(report.unexpected)}"
    )


def _wrapped(names: Sequence[str]) -> str:
    """Say who put a word of its own before every name, and how to take it off."""
    for prefix, who in WRAPPERS.items():
        if names and all(name.removeprefix("body.").startswith(prefix) for name in names):
            return (
                f' Every name begins with "{prefix}", as {who} writes it: save '
                f'{{name.removeprefix("{prefix}"): tensor for name, tensor in weights.items()}} instead.'
            )
    return ""
