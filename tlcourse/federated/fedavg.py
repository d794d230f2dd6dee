"""FedAvg: every client trains at home, the server takes the mean of what comes back, weighted by images.

A method of federated learning is a subclass that changes what a client minimises, what it keeps at home, or the mean.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.evaluation.predict import Loss
from tlcourse.storage import Tensors


class Update(NamedTuple):
    """What a client sends after a round: weights and running statistics, and from how many images they come."""

    state: Tensors
    images: int
    loss: float  # mean of its training, in nats; for whoever watches


class FedAvg:
    """Federated averaging: cross entropy at home, and everything is shared.

    Source: McMahan et al., "Communication-efficient learning of deep networks from decentralized data", 2017, AISTATS.
    """

    def loss(self, model: nn.Module) -> Loss:
        """Return what a client minimises in a round that begins with the network as it is now."""
        return F.cross_entropy

    def stays_at_home(self, model: nn.Module) -> set[str]:
        """Return the names in the state dict that a client never sends, and never gets."""
        return set()

    def mean(self, updates: Sequence[Update]) -> Tensors:
        """Return what the server makes of the updates of a round."""
        return weighted_mean(updates)


def weighted_mean(updates: Sequence[Update]) -> Tensors:
    """Return the mean of the clients' weights and running statistics, weighted by their numbers of images.

    A client with twice as many images counts twice, so that every *image* counts the same. Integers in a state dict are
    counters, such as how many batches a batch normalisation has seen: the mean of two counts is no count, so the
    largest stays, an integer. Raises ValueError without an update, or without an image.
    """
    total = sum(update.images for update in updates)
    if not total:
        raise ValueError(f"{len(updates)} updates of {total} images in all cannot be averaged. Expected some images.")
    mean = {}
    for name, first in updates[0].state.items():
        tensors = [update.state[name] for update in updates]
        if first.is_floating_point():
            parts = (update.images / total * tensor.double() for update, tensor in zip(updates, tensors, strict=True))
            mean[name] = sum(parts).to(first.dtype)
        else:
            mean[name] = torch.stack(tensors).amax(0)
    return mean


def refusal(update: Update, expected: Mapping[str, torch.Tensor]) -> str | None:
    """Return why an update may not be averaged with others, or None for a good one.

    One client that sends NaN makes every weight of the mean NaN, for everybody; `expected` is the state that the server
    sent. What is looked at: the names, the shapes, the types, whether all numbers are finite, and the number of images.
    """
    if not isinstance(update.images, int) or update.images < 1:
        return f"it says that it has {update.images!r} images; a whole number of at least 1 was expected"
    if missing := sorted(expected.keys() - update.state.keys()):
        return f"it sent {len(update.state)} tensors and not {missing[0]!r}; {len(expected)} were expected"
    if unknown := sorted(update.state.keys() - expected.keys()):
        return f"it sent {unknown[0]!r}, which the network does not have"
    for name, wanted in expected.items():
        sent = update.state[name]
        if sent.shape != wanted.shape or sent.dtype != wanted.dtype:
            return (
                f"it sent {name!r} as {sent.dtype} {list(sent.shape)}; {wanted.dtype} {list(wanted.shape)} was expected"
            )
        if not torch.isfinite(sent).all():
            return f"{int((~torch.isfinite(sent)).sum())} of the {sent.numel()} numbers of {name!r} are not finite"
    return None
