"""Learning from photographs without labels beside the labelled ones, and going back where that is not seen to help."""

from dataclasses import replace

from torch import nn

from tlcourse.photos.consistency import BATCH, Consistency
from tlcourse.photos.finetuning import Tuned, fine_tune_or_keep
from tlcourse.photos.memory import PhotoSource
from tlcourse.photos.probe import ChosenProbe, answers_of, cache_features
from tlcourse.photos.pseudo_labels import cross_validated, self_trained
from tlcourse.photos.recipe import PhotoRecipe
from tlcourse.photos.unlabelled import Unlabelled, Worth
from tlcourse.training.checkpoint import copy_weights
from tlcourse.transfer.linear_probe import write_head


def pseudo_label_beside(
    model: nn.Module,
    probe: ChosenProbe,
    classes: tuple[str, ...],
    unknown: PhotoSource,
    used: Unlabelled,
    progress: bool = False,
) -> tuple[ChosenProbe, Worth]:
    """Return the probe that learned from pseudo-labels too, in the network, or the one that came; and their worth.

    That is measured in the folds in which the penalty of the probe was chosen.
    """
    features = cache_features(model, unknown, progress).features
    head, learned = self_trained(probe.known, features, probe.probe, len(classes), probe.penalty)
    worth = Worth(
        used,
        classes,
        "pseudo-labels on cached features",
        f"{len(probe.asked.labels):,} labelled photographs in cross-validation",
        probe.asked.labels,
        probe.logits,
        cross_validated(probe, features, len(classes)),
        learned,
        answers_of(head, features).softmax(1).max(1).values,
    )
    if not worth.kept:
        return probe, worth
    write_head(model, head)
    return replace(probe, probe=head), worth


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
