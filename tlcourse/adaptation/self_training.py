"""Self-training: label the target by the network's own surest answers, class by class, and learn from them."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from tlcourse.adaptation.adabn import adapt_batchnorm
from tlcourse.adaptation.adapt import TwoDomains, check_domains, check_finite
from tlcourse.adaptation.both_labelled import batches_of_both, loss_of_both
from tlcourse.adaptation.target import unlabelled
from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.predict import predict
from tlcourse.repro import pick_device
from tlcourse.training.loop import updates
from tlcourse.training.recipe import Recipe, adamw

SHARES = (0.2, 0.4, 0.6, 0.8)  # of the target that is labelled, round by round


def surest_of_each_class(logits: torch.Tensor, share: float) -> torch.Tensor:
    """Return the places, int64, of the surest answers: of each answered class the same share, at least one.

    A threshold for all classes would keep the easy ones and let the hard ones die out. Source: Zou et al.,
    "Unsupervised domain adaptation for semantic segmentation via class-balanced self-training", 2018, ECCV.
    """
    confidence, answers = logits.softmax(1).max(1)
    chosen = []
    for each in answers.unique():
        places = (answers == each).nonzero()[:, 0]
        kept = max(1, round(share * len(places)))
        chosen.append(places[confidence[places].argsort(descending=True, stable=True)[:kept]])
    return torch.cat(chosen).sort().values


def self_train(
    model: nn.Module,
    source: ImageSet,
    target: torch.Tensor,
    recipe: Recipe = Recipe(),
    *,
    weight: float = 1.0,
    shares: Sequence[float] = SHARES,
    seed: int = 0,
) -> nn.Module:
    """Train in place on the source and on the network's own answers for the target, chosen anew in each round.

    The updates are shared among the rounds, so that the whole costs what `adapt` costs. `target` is images alone, uint8
    `[N, 3, H, W]`; `weight` is that of the answers in the loss. Raises what `adapt` does.
    """
    check_domains(model, source, target)
    device = pick_device()
    model.to(device=device, memory_format=torch.channels_last)
    adapt_batchnorm(model, target)
    both = TwoDomains(model, views=2)
    optimizer, schedule = adamw(model, recipe.lr, recipe.updates, weight_decay=recipe.weight_decay)
    unknown = unlabelled(target)
    rounds = [replace(recipe, epochs=1, steps=n) for n in _shared_out(recipe.updates, len(shares))]
    for number, (share, part) in enumerate(zip(shares, rounds, strict=True)):
        logits = predict(model, unknown)
        sure = surest_of_each_class(logits, share).to(target.device)
        answers = logits.argmax(1).to(target.device)[sure]
        pseudo = ImageSet(target[sure], answers, source.classes)
        stream = seed * len(shares) + number  # each seed and round has two of its own
        batches = batches_of_both(source, pseudo, part, stream)
        *_, last = updates(both, batches, optimizer, loss_of_both(weight), schedule=schedule)
        check_finite(last)
        adapt_batchnorm(model, target)
    return model


def _shared_out(total: int, parts: int) -> list[int]:
    """Divide a number of updates as evenly as whole numbers allow."""
    return [total * (part + 1) // parts - total * part // parts for part in range(parts)]
