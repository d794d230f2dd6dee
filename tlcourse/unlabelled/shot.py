"""SHOT: adapt to a target when the source is gone, and all that is left of it is a network."""

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.adaptation.adabn import adapt_batchnorm
from tlcourse.adaptation.adapt import check_finite
from tlcourse.adaptation.target import unlabelled
from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.entropy import information_loss
from tlcourse.evaluation.predict import extract_features
from tlcourse.repro import pick_device
from tlcourse.training.loop import updates
from tlcourse.training.recipe import Recipe, adamw
from tlcourse.transfer.heads import get_classifier


def shot(
    model: nn.Module,
    target: torch.Tensor,
    recipe: Recipe = Recipe(),
    *,
    weight: float = 0.3,
    every: int = 20,
    seed: int = 0,
) -> nn.Module:
    """Train the backbone in place on images alone, so that the source's head, which stays, reads them; return it.

    The loss is `information_loss` plus `weight` times the cross entropy of answers that are found by class centroids
    anew after `every` updates. `target` is uint8 `[N, 3, H, W]`. Statistics of batch normalisation are measured on the
    target, also at the end. Raises TypeError for images with labels, ArithmeticError when the loss breaks.

    What comes back is the network after the last update. To keep the best one on the way would take labels to know it
    by, and a copy: `best = net.state_dict()`, as much code has it, is no copy but the weights that go on moving.

    Source: Liang, Hu and Feng, "Do we really need to access the source data? Source hypothesis transfer for
    unsupervised domain adaptation", 2020, ICML.
    """
    if every < 1:
        raise ValueError(f"answers are to be found anew after every {every} updates. Expected at least 1, such as 20.")
    unknown, head = unlabelled(target), get_classifier(model)
    model.to(device=pick_device(), memory_format=torch.channels_last)
    learned = [parameter for parameter in head.parameters() if parameter.requires_grad]
    for parameter in learned:
        parameter.requires_grad_(False)
    try:
        optimizer, schedule = adamw(model, recipe.lr, recipe.updates, weight_decay=recipe.weight_decay)
        pseudo = ImageSet(target, _find_labels(model, unknown), tuple(map(str, range(head.out_features))))
        batches = pseudo.batches(recipe.batch, steps=recipe.updates, transform=recipe.augment, seed=seed)

        def loss(logits: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
            return information_loss(logits) + weight * F.cross_entropy(logits, answers)

        for done, value in enumerate(updates(model, batches, optimizer, loss, schedule=schedule), start=1):
            check_finite(value)
            if done % every == 0:
                pseudo.labels.copy_(_find_labels(model, unknown))  # in place: the batches to come read them there
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)
    return adapt_batchnorm(model, target)


def centroid_labels(features: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Return for every image the class, int64 `[N]`, whose centroid makes the smallest angle with its features.

    A class's centroid is the sum of all features, of length 1 each, weighted by the chance that the network gives the
    class; then, once more, the sum of those that were nearest. So an answer counts images that lie together, where the
    network's own looks at one image alone. A class that nobody is nearest to has no centroid. Features are
    `[N, num_features]`, logits `[N, classes]`.
    """
    if features.ndim != 2 or logits.ndim != 2 or len(features) != len(logits):
        raise ValueError(
            f"features have shape {list(features.shape)} and logits {list(logits.shape)}. Expected [N, num_features] "
            "and [N, classes] of the same images."
        )
    unit, shares = F.normalize(features), logits.softmax(1)  # shares: [N, classes], of each image in a class
    for _ in range(2):
        centroids = F.normalize(shares.T @ unit)  # [classes, num_features]; an angle does not ask for lengths
        cosines = unit @ centroids.T  # [N, classes]
        cosines[:, shares.sum(0) == 0] = -torch.inf
        nearest = cosines.argmax(1)
        shares = F.one_hot(nearest, logits.shape[1]).to(unit.dtype)
    return nearest


@torch.no_grad()
def _find_labels(model: nn.Module, unknown: ImageSet) -> torch.Tensor:
    """Label the target by its centroids, with its own statistics of batch normalisation."""
    adapt_batchnorm(model, unknown.images)
    features, head = extract_features(model, unknown), get_classifier(model)
    logits = head(features.to(head.weight.device)).cpu()
    return centroid_labels(features, logits).to(unknown.images.device)
