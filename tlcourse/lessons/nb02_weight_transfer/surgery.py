"""What the lab of notebook 02 computes: carry weights over, freeze, take a few steps, and see what moved."""

import functools
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from tlcourse.data.normalisation import scale
from tlcourse.data.worlds import load
from tlcourse.lessons.nb02_weight_transfer.figures import STATISTICS
from tlcourse.lessons.nb02_weight_transfer.strategies import take_steps
from tlcourse.models.pretrained import pretrained
from tlcourse.models.small_cnn import SmallCNN
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.models.variants import FOREIGN_NAMES, TinyResNetVariant, foreign_weights
from tlcourse.repro import seeded
from tlcourse.transfer.freezing import freeze, trainable
from tlcourse.transfer.surgery import ACTIONS, Step, adapt_input, rename, strip_prefix, transplant
from tlcourse.transfer.weights import MoveReport, weights_moved

Weights = Mapping[str, torch.Tensor]
IMAGES = 20  # in the batch that all steps share
STEPS = (3, 30, 300)
NAMES = ("as they are", "with a key map")
HEADS = ("leave behind", "carry")
POLICIES = ("keep", "adapt", "forgotten")  # forgotten: meant to keep statistics, but `model.train()` woke them up


@dataclass(frozen=True)
class Source:
    """Weights to carry, the name of the first convolution among them, and our names by theirs where they differ."""

    weights: Callable[[], Weights]
    first_conv: str = "stem.0.weight"
    key_map: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Target:
    """A network to carry them into, and the images of the steps: `"digits"` or `"letters"`, with 3 channels or 1."""

    build: Callable[[], nn.Module]
    first_conv: str = "stem.0.weight"
    labels: str = "digits"
    channels: int = 3


def _grey_letters() -> Weights:
    colour = pretrained("tiny_resnet", "letters").state_dict()
    return colour | {"stem.0.weight": adapt_input(colour["stem.0.weight"], 1)}


_KEY_MAP = {theirs: ours for ours, theirs in FOREIGN_NAMES["tiny_resnet"].items()}
SOURCES: dict[str, Source] = {
    "TinyResNet, letters": Source(lambda: pretrained("tiny_resnet", "letters").state_dict()),
    "TinyResNet, printed digits": Source(lambda: pretrained("tiny_resnet", "digits").state_dict()),
    "TinyResNet, grey letters": Source(_grey_letters),
    "TinyResNet, foreign names": Source(foreign_weights, "module.conv1.weight", _KEY_MAP),
    "SmallCNN, letters": Source(lambda: pretrained("small_cnn", "letters").state_dict(), "conv1.weight"),
}
TARGETS: dict[str, Target] = {
    "TinyResNet, 10 digits": Target(TinyResNet),
    "TinyResNet, 10 grey digits": Target(lambda: TinyResNetVariant(channels=1), channels=1),
    "TinyResNet, twice as wide": Target(lambda: TinyResNetVariant(width=2)),
    "TinyResNet, 35 letters": Target(lambda: TinyResNet(35), labels="letters"),
    "SmallCNN, 10 digits": Target(SmallCNN, "conv1.weight"),
}


@dataclass(frozen=True)
class Operation:
    """What to carry where; raises ValueError for what is unknown, and for a key map where there is nothing to map."""

    source: str = "TinyResNet, letters"
    target: str = "TinyResNet, 10 digits"
    names: str = "as they are"
    head: str = "leave behind"

    def __post_init__(self) -> None:
        """Refuse what there is not."""
        for kind, known in (("source", SOURCES), ("target", TARGETS), ("names", NAMES), ("head", HEADS)):
            _check(kind, getattr(self, kind), known)
        if self.names == "with a key map" and SOURCES[self.source].key_map is None:
            raise ValueError(
                f"there is no key map for {self.source!r}. Expected foreign names: theirs are ours already."
            )


@dataclass(frozen=True)
class Training:
    """How to train after surgery: frozen stages, what their statistics do, and how many steps."""

    depth: int = 2
    batchnorm: str = "keep"
    steps: int = 3

    def __post_init__(self) -> None:
        """Refuse what there is not."""
        _check("batchnorm", self.batchnorm, POLICIES)
        if self.steps < 1:
            raise ValueError(f"got {self.steps} steps. Expected at least 1.")


@dataclass(frozen=True)
class Surgery:
    """What an operation did: a full state dict for the target, what was done to each tensor, and what the target is.

    `stages` are the target's, from pixels to features; `source_filters` is the first convolution of the source.
    """

    weights: Weights
    steps: tuple[Step, ...]
    stages: tuple[str, ...]
    batchnorm: bool
    head: str
    source_filters: torch.Tensor

    def count_actions(self) -> dict[str, int]:
        """Count the tensors that were copied, adapted, skipped and fresh."""
        return {action: sum(step.action == action for step in self.steps) for action in ACTIONS}


@dataclass(frozen=True)
class Movement:
    """What a training moved: which tensors and how far, and the first convolution afterwards."""

    report: MoveReport
    filters: torch.Tensor

    def count(self, parts: tuple[str, ...]) -> tuple[int, int]:
        """Count the weights and the statistics that moved within parts of the network, given by their first names."""
        inside = [name for name in self.report.moved if name.split(".")[0] in parts]
        statistics = sum(name.endswith(STATISTICS) for name in inside)
        return len(inside) - statistics, statistics


def build(target: str) -> nn.Module:
    """Return a target network with the same fresh weights each time; needs PyTorch's global generator for a moment."""
    with seeded("surgery", target):
        return TARGETS[target].build()


@functools.cache
def parts_of(target: str) -> tuple[tuple[str, ...], bool]:
    """Return a target's stages, from pixels to features, and whether it has batch normalisation."""
    model = build(target)
    return tuple(model.stages()), any(name.endswith(STATISTICS) for name in model.state_dict())


@functools.lru_cache(maxsize=24)
def compute_surgery(operation: Operation) -> Surgery:
    """Carry weights into a fresh network; nothing is trained yet."""
    source, model = SOURCES[operation.source], build(operation.target)
    theirs = offered = source.weights()
    if operation.names == "with a key map":
        offered = rename(strip_prefix(theirs), source.key_map)
    skip = [f"{model.head_name}."] if operation.head == "leave behind" else []
    first_conv = TARGETS[operation.target].first_conv
    weights, steps = transplant(offered, model.state_dict(), skip=skip, first_conv=first_conv)
    filters = theirs[source.first_conv].clone()
    return Surgery(weights, tuple(steps), *parts_of(operation.target), model.head_name, filters)


def prepare(operation: Operation, training: Training) -> nn.Module:
    """Return the operated network with its first stages frozen; raises ValueError when it has fewer stages."""
    model = build(operation.target)
    model.load_state_dict(compute_surgery(operation).weights)
    freeze(model, training.depth, "adapt" if training.batchnorm == "adapt" else "keep")
    return model


def compute_movement(model: nn.Module, operation: Operation, training: Training) -> Generator[float, None, Movement]:
    """Train what `prepare` returned step by step, yield the share that is done, and return what moved.

    It uses no generator of random numbers, so it may run on any thread.
    """
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = torch.optim.SGD(trainable(model), lr=0.02, momentum=0.9, weight_decay=0.001)
    images, labels = batch(TARGETS[operation.target].labels, TARGETS[operation.target].channels)
    for step in range(training.steps):
        yield step / training.steps
        take_steps(model, images, labels, optimizer, 1, plain_train=training.batchnorm == "forgotten")
    after = model.state_dict()
    filters = after[TARGETS[operation.target].first_conv].clone()
    return Movement(weights_moved(before, after), filters)


@functools.cache
def batch(labels: str, channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the images and labels that all steps are taken on: 20 handwritten digits, or 20 printed letters."""
    if labels == "digits":
        images = load("handwritten-photo").few(IMAGES // 10)
    else:
        images = load("printed-photo", "letters", count=IMAGES)
    x = scale(images.images)
    return (x.mean(1, keepdim=True) if channels == 1 else x), images.labels


def _check(kind: str, value: str, known: tuple[str, ...] | Mapping[str, object]) -> None:
    if value not in known:
        raise ValueError(f"{kind} is {value!r}. Expected one of: {', '.join(map(repr, known))}.")
