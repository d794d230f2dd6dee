"""The ways to begin that the course compares: with random weights, or with pretrained ones and a fresh head."""

from torch import nn

from tlcourse.models.pretrained import build, pretrained
from tlcourse.repro import seeded
from tlcourse.transfer.freezing import freeze
from tlcourse.transfer.heads import reset_classifier

STARTS = ("scratch", "linear probe", "fine-tuned")


def starting_model(
    start: str, seed: int, *, classes: int = 10, network: str = "tiny_resnet", source: str = "letters"
) -> nn.Module:
    """Make a network as one of the three ways to begin has it, ready to train; the seed is that of fresh weights.

    `"scratch"`: random weights. `"linear probe"`: pretrained and frozen, a fresh head learns. `"fine-tuned"`:
    pretrained, a fresh head, everything learns. Raises ValueError when there is no such start, network or source.
    """
    if start not in STARTS:
        raise ValueError(f"{start!r} is not a way to start. Expected one of: {', '.join(map(repr, STARTS))}.")
    with seeded("weights", seed):
        if start == "scratch":
            return build(network, classes)
        model = pretrained(network, source)
        reset_classifier(model, classes)
    if start == "linear probe":
        freeze(model)
    return model
