"""What the lab of notebook 02 computes: carry weights over, freeze, take a few steps, and see what moved."""

import functools
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from tlcourse.data.normalisation import scale
from tlcourse.data.worlds import load
from tlcourse.lessons.nb02_weight_transfer.strategies import take_steps
from tlcourse.models.pretrained import pretrained
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.models.variants import FOREIGN_NAMES, TinyResNetVariant, foreign_weights
from tlcourse.repro import seeded
from tlcourse.transfer.freezing import freeze, trainable
from tlcourse.transfer.surgery import ACTIONS, Step, adapt_input, rename, strip_prefix, transplant
from tlcourse.transfer.weights import MoveReport, weights_moved

Weights = Mapping[str, torch.Tensor]
FIRST = "stem.0.weight"
STAGES = ("stem", "block1", "block2", "block3", "block4")
IMAGES = 20  # in the batch that all steps share
STEPS = (3, 30, 300)
NAMES = ("as they are", "with a key map")
HEADS = ("leave behind", "carry")
POLICIES = ("keep", "adapt", "forgotten")  # forgotten: meant to keep statistics, but `model.train()` woke them up
FOREIGN = "TinyResNet, foreign names"
KEY_MAP = {theirs: ours for ours, theirs in FOREIGN_NAMES["tiny_resnet"].items()}


def _grey_letters() -> Weights:
    colour = pretrained("tiny_resnet", "letters").state_dict()
    return colour | {FIRST: adapt_input(colour[FIRST], 1)}


SOURCES: dict[str, Callable[[], Weights]] = {
    "TinyResNet, letters": lambda: pretrained("tiny_resnet", "letters").state_dict(),
    "TinyResNet, printed digits": lambda: pretrained("tiny_resnet", "digits").state_dict(),
    "TinyResNet, grey letters": _grey_letters,
    FOREIGN: foreign_weights,
}
TARGETS: dict[str, Callable[[], nn.Module]] = {
    "TinyResNet, 10 digits": TinyResNet,
    "TinyResNet, 10 grey digits": lambda: TinyResNetVariant(channels=1),
    "TinyResNet, twice as wide": lambda: TinyResNetVariant(width=2),
    "TinyResNet, 35 letters": lambda: TinyResNet(35),
}


@dataclass(frozen=True)
class Operation:
    """What to carry where."""

    source: str = "TinyResNet, letters"
    target: str = "TinyResNet, 10 grey digits"
    names: str = NAMES[0]  # a key map only where there is one, for foreign names
    head: str = HEADS[0]


@dataclass(frozen=True)
class Training:
    """How to train after surgery: frozen stages, what their statistics do, and how many steps."""

    depth: int = 2
    batchnorm: str = POLICIES[0]
    steps: int = STEPS[0]

    @property
    def frozen(self) -> tuple[str, ...]:
        """Name the frozen stages."""
        return STAGES[: self.depth]


@dataclass(frozen=True)
class Surgery:
    """A full state dict for the target, what was done to each tensor, and the first convolution of the source."""

    weights: Weights
    steps: tuple[Step, ...]
    source_filters: torch.Tensor

    def count_actions(self) -> dict[str, int]:
        """Count the tensors that were copied, adapted, skipped and fresh."""
        return {action: sum(step.action == action for step in self.steps) for action in ACTIONS}


@dataclass(frozen=True)
class Movement:
    """What a training moved: which tensors and how far, and the first convolution afterwards."""

    report: MoveReport
    filters: torch.Tensor


def build(target: str) -> nn.Module:
    """Return a target network with the same fresh weights each time; needs PyTorch's global generator for a moment."""
    with seeded("surgery", target):
        return TARGETS[target]()


@functools.lru_cache(maxsize=24)
def compute_surgery(operation: Operation) -> Surgery:
    """Carry weights into a fresh network; nothing is trained yet."""
    offered, ours = SOURCES[operation.source](), build(operation.target).state_dict()
    translated = rename(strip_prefix(offered), KEY_MAP) if operation.source == FOREIGN else offered
    if operation.names == "with a key map":
        offered = translated
    skip = ["head."] if operation.head == "leave behind" else []
    weights, steps = transplant(offered, ours, skip=skip, first_conv=FIRST)
    return Surgery(weights, tuple(steps), translated[FIRST].clone())


def prepare(operation: Operation, training: Training) -> nn.Module:
    """Return the operated network with its first stages frozen."""
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
    images, labels = batch(operation.target)
    for step in range(training.steps):
        yield step / training.steps
        take_steps(model, images, labels, optimizer, 1, plain_train=training.batchnorm == "forgotten")
    after = model.state_dict()
    return Movement(weights_moved(before, after), after[FIRST].clone())


@functools.cache
def batch(target: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the images and labels that all steps are taken on: 20 handwritten digits, or 20 printed letters."""
    if "letters" in target:
        images = load("printed-photo", "letters", count=IMAGES)
    else:
        images = load("handwritten-photo").few(IMAGES // 10)
    x = scale(images.images)
    return (x.mean(1, keepdim=True) if "grey" in target else x), images.labels
