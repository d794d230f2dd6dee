"""What every network of the course offers: features, stages, and a head that can be replaced."""

from typing import Protocol

import torch
from torch import nn


class Backbone(Protocol):
    """The small surface that the course's functions use; `SmallCNN` and `TinyResNet` have it.

    Attributes:
        head_name: name of the last linear layer.
        feature_size: how many features go into it.
    """

    head_name: str
    feature_size: int

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Turn images `[B, 3, H, W]` into features `[B, feature_size]`."""
        ...

    def stages(self) -> dict[str, nn.Module]:
        """Return the parts before the head, in order."""
        ...


def get_head(model: nn.Module) -> nn.Linear:
    """Return the last layer of a network: the one that belongs to its classes."""
    return getattr(model, model.head_name)


def replace_head(model: nn.Module, classes: int) -> nn.Linear:
    """Give a network a fresh head for other classes; everything before it stays.

    The new weights are drawn from PyTorch's global generator, as those of any new layer: wrap the call in `seeded` to
    choose them. Make the optimiser afterwards, or it will go on training the old head.

    Args:
        model: the network, changed in place.
        classes: how many classes to tell apart, at least 2.

    Returns:
        The new head.

    Raises:
        ValueError: fewer than two classes.
    """
    if classes < 2:
        raise ValueError(f"a head for {classes} classes was asked for. Expected at least 2.")
    old = get_head(model)
    head = nn.Linear(model.feature_size, classes).to(old.weight.device, old.weight.dtype)
    setattr(model, model.head_name, head)
    return head


def check_input(x: torch.Tensor, network: str, size: int | None = None) -> None:
    """Refuse what the network was not made for.

    Args:
        x: a batch of images.
        network: the network's name, for the message.
        size: the only height and width it takes, or None for any.

    Raises:
        TypeError: the images are bytes.
        ValueError: the shape is wrong.
    """
    if not x.is_floating_point():
        raise TypeError(
            f"{network} got {x.dtype} images, but floats from -1 to 1 were expected. Use scale(images) from tlcourse."
        )
    if x.ndim != 4 or x.shape[1] != 3 or (size and x.shape[2:] != (size, size)):
        wanted = f"[B, 3, {size}, {size}]" if size else "[B, 3, H, W]"
        raise ValueError(
            f"{network} got images of shape {list(x.shape)}, but {wanted} was expected. "
            "Put the channels first, repeat a grey channel three times, resize with torch.nn.functional.interpolate."
        )
