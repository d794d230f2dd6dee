"""What every network of the course offers: features, stages, and a head that can be replaced and given a start."""

import torch
from torch import nn


def get_classifier(model: nn.Module) -> nn.Linear:
    """Return the last layer of a network: the one that belongs to its classes."""
    return getattr(model, model.head_name)


def reset_classifier(model: nn.Module, classes: int) -> nn.Linear:
    """Give a network a fresh head for other classes, and return it; everything before it stays.

    The new weights are drawn from PyTorch's global generator, as those of any new layer: wrap the call in `seeded` to
    choose them. Make the optimiser afterwards, or it will go on training the old head.
    """
    if classes < 2:
        raise ValueError(f"a head for {classes} classes was asked for. Expected at least 2.")
    old = get_classifier(model)
    head = nn.Linear(model.num_features, classes).to(old.weight.device, old.weight.dtype)
    setattr(model, model.head_name, head)
    return head


@torch.no_grad()
def class_mean_head(head: nn.Linear, features: torch.Tensor, labels: torch.Tensor, scale: float = 1.0) -> nn.Linear:
    """Make a head that chooses the class whose mean feature is nearest, without any training.

    The squared distance from features `x`, of `[N, in_features]`, to a mean `m` is `|x|^2 - 2 (m x - |m|^2 / 2)`. The
    first term is the same for all classes, so the nearest mean is the one with the highest `m x - |m|^2 / 2`: a linear
    layer with weights `m` and bias `-|m|^2 / 2`.

    Such logits are large (they grow with the square of the features), so a softmax over them is almost always certain,
    and a wrong answer gives a huge loss in the first step of fine-tuning. `scale` below 1 makes them smaller; the
    answers stay the same. Read as probabilities, they are right where features of a class spread evenly about their
    mean with variance 1 / scale.

    Source: Mensink et al., "Distance-based image classification: Generalizing to new classes at near-zero cost", 2013,
    IEEE Transactions on Pattern Analysis and Machine Intelligence.
    """
    _check_class_means(head, features, labels, scale)
    means = torch.stack([features[labels == c].mean(0) for c in range(head.out_features)])  # [classes, features]
    head.weight.copy_(scale * means)
    head.bias.copy_(-scale * means.square().sum(1) / 2)
    return head


def _check_class_means(head: nn.Linear, features: torch.Tensor, labels: torch.Tensor, scale: float) -> None:
    if head.bias is None:
        raise ValueError(
            "the head has no bias, which nearest class means need. Make it with nn.Linear(..., bias=True)."
        )
    if not 0 < scale < float("inf"):
        raise ValueError(f"scale is {scale}, but a number above 0 was expected; 1 gives the distances themselves.")
    if features.ndim != 2 or features.shape[1] != head.in_features or labels.shape != features.shape[:1]:
        raise ValueError(
            f"got features {list(features.shape)} and labels {list(labels.shape)}, but [N, {head.in_features}] and [N] "
            "were expected. Take the features from this network: extract_features(model, images)."
        )
    present = set(labels.tolist())
    wanted = set(range(head.out_features))
    if present != wanted:
        raise ValueError(
            f"the head has classes 0 to {head.out_features - 1}; the labels lack {sorted(wanted - present)} and have "
            f"besides {sorted(present - wanted)}. Expected at least one example of every class, and no other."
        )


def check_input(x: torch.Tensor, network: str, size: int | None = None) -> None:
    """Refuse a batch that a network was not made for; `size` is the only height and width it takes."""
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
