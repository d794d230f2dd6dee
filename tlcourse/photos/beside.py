"""Learning from photographs without labels beside the labelled ones, and going back where that is not seen to help."""

from dataclasses import replace

import torch
from torch import nn

from tlcourse.photos.consistency import BATCH, Consistency
from tlcourse.photos.finetuning import (
    CachedFeatures,
    ChosenProbe,
    Tuned,
    cache_features,
    fine_tune_or_keep,
    refitted,
)
from tlcourse.photos.memory import PhotoSource
from tlcourse.photos.pseudo_labels import answers_of, cross_validated, self_trained
from tlcourse.photos.recipe import PhotoRecipe
from tlcourse.photos.splits import PhotoParts
from tlcourse.photos.unlabelled import Unlabelled, Worth
from tlcourse.training.checkpoint import copy_weights
from tlcourse.transfer.linear_probe import write_head


def pseudo_label_beside(
    model: nn.Module,
    probe: ChosenProbe,
    parts: PhotoParts,
    unknown: PhotoSource,
    used: Unlabelled,
    seed: int = 0,
    progress: bool = False,
) -> tuple[ChosenProbe, Worth]:
    """Return the probe that learned from pseudo-labels too, in the network, or the one that came; and their worth.

    That is measured in cross-validation over all labelled photographs but the test's. What is kept learned from all.
    """
    features = cache_features(model, unknown, progress).features
    known = CachedFeatures(*(torch.cat(part) for part in zip(probe.train, probe.validation, strict=True)))
    groups = torch.cat([parts.train.groups, parts.validation.groups])
    classes = parts.train.classes
    without, beside = cross_validated(known, groups, features, len(classes), probe.penalty, seed)
    whole = refitted(probe)
    head, learned = self_trained(known, features, whole.probe, len(classes), probe.penalty)
    worth = Worth(
        used,
        classes,
        "pseudo-labels on cached features",
        f"{len(known.labels):,} labelled photographs in cross-validation",
        known.labels,
        without,
        beside,
        learned,
        answers_of(head, features).softmax(1).max(1).values,
    )
    if not worth.kept:
        return probe, worth
    write_head(model, head)
    return replace(whole, probe=head), worth


def fine_tune_beside(
    model: nn.Module,
    train: PhotoSource,
    validation: PhotoSource,
    unknown: PhotoSource | None,
    used: Unlabelled | None,
    recipe: PhotoRecipe,
    probe: ChosenProbe,
    *,
    seed: int = 0,
    **options: object,
) -> tuple[Tuned, Worth | None]:
    """Fine-tune without photographs that have no labels, then with them, from the same probe; keep what is better.

    Where there are none, there is one training, and no worth. Both take equally many updates. The network is changed in
    place; `options` are those of `fine_tune`.
    """
    start = copy_weights(model)
    alone = fine_tune_or_keep(model, train, validation, recipe, probe, seed=seed, **options)
    if unknown is None:
        return alone, None
    kept = copy_weights(model)
    model.load_state_dict(start)
    joined = Consistency(unknown, recipe.view, seed)
    both = fine_tune_or_keep(model, train, validation, recipe, probe, beside=joined, seed=seed, **options)
    worth = Worth(
        used,
        train.classes,
        f"consistency (FixMatch), {BATCH} in each update",
        f"{len(validation):,} validation photographs",
        validation.labels,
        alone.logits if alone.kept == "fine-tuned" else probe.logits,
        both.logits,
        joined.answers,
        joined.confidence,
    )
    if not worth.kept:
        model.load_state_dict(kept)
    return (both if worth.kept else alone), worth
