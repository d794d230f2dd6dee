"""What notebook 11 measures first: every way to learn and to answer, on clean images and under seven corruptions."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.adaptation.adabn import adapt_batchnorm
from tlcourse.data.augmentations import Augment
from tlcourse.data.imageset import ImageSet
from tlcourse.data.normalisation import scale
from tlcourse.data.worlds import load
from tlcourse.evaluation.calibration import calibration_error
from tlcourse.evaluation.predict import evaluation_mode, predict
from tlcourse.lessons.nb11_robustness.conditions import KINDS, MIDDLE, SHIFTS, WORLD, measured_pool, moved_pool, right
from tlcourse.lessons.nb11_robustness.learning import (
    LONGER,
    LORA,
    LP_FT,
    PLAIN,
    PROBE,
    SCRATCH,
    SOURCE,
    TUNED,
    VARIED,
    learned,
    source_network,
)
from tlcourse.notebook.results import grid
from tlcourse.repro import generator
from tlcourse.training.recipe import CONVERGED, Recipe
from tlcourse.training.weight_space import between, soup
from tlcourse.unlabelled.tent import by_batch_statistics

ADABN = "AdaBN"  # the source's network, its statistics measured on the target's training pool; no label is seen
SOUP, ENSEMBLE, WISE = "soup of 4", "ensemble of 4", "WiSE-FT"
TTA, STATISTICS = "16 views", "batch statistics"
WISE_STATISTICS, VARIED_WISE, ALL = "WiSE-FT + batch statistics", "varied + WiSE-FT", "all three"
ALPHA = 0.5  # half way; what the paper advises where nothing can be chosen on
VIEWS, BATCH = 16, 64
FULL = (SOURCE, PROBE, SCRATCH, TUNED, LP_FT, LORA, ADABN, WISE, ALL)  # measured in all severities and along the dial

Answer = Callable[[ImageSet], torch.Tensor]  # from images to log-probabilities, float [N, classes]
ByKind = Callable[[str], Answer]  # what answers under a kind of corruption, as a way may have left that kind out


def trial(per_class: int, seed: int) -> list[dict[str, Any]]:
    """Learn from so many labels a class in every way, and measure each: a row for every way and severity.

    Severity 0 is clean. `accuracy` is in percent and `gap` the calibration error in points, both means over the seven
    kinds; each kind's accuracy has its own column. Networks that were trained with corruptions never saw the kind that
    they are measured on: there is one for each kind.
    """
    labelled = load(WORLD).few(per_class, seed)
    rows = []
    for way, answering in ways(labelled, seed).items():
        severities = range(6) if way in FULL else (0, MIDDLE)
        rows += [{"way": way, "severity": severity, **measured(answering, severity)} for severity in severities]
    return rows


def measured(answering: ByKind, severity: int) -> dict[str, float]:
    """Measure a way under all kinds of corruption at one severity."""
    found, gaps, known = {}, [], {}
    for kind in KINDS:
        data, answer = measured_pool(kind if severity else "clean", severity or MIDDLE), answering(kind)
        if severity or answer not in known:  # of clean images, one network needs one answer
            known[answer] = answer(data)
        logits = known[answer]
        found[kind] = right(logits, data)
        gaps.append(calibration_error(logits, data.labels))
    return {"accuracy": sum(found.values()) / len(KINDS), "gap": sum(gaps) / len(KINDS), **found}


def ways(labelled: ImageSet, seed: int, recipe: Recipe = CONVERGED) -> dict[str, ByKind]:
    """Train all networks, and return what answers, way by way."""
    source = source_network()
    networks = {way: learned(way, labelled, seed, recipe=recipe) for way in (PROBE, SCRATCH, TUNED, LP_FT, LORA, PLAIN)}
    tuned = networks[TUNED]
    mates = [tuned, *(learned(TUNED, labelled, seed + 1000 * mate, recipe=recipe) for mate in (1, 2, 3))]
    varied = {kind: learned(VARIED, labelled, seed, recipe=recipe, left_out=kind) for kind in KINDS}
    wise = between(source, tuned, ALPHA, labelled)
    both = {kind: between(source, model, ALPHA, labelled) for kind, model in varied.items()}
    adapted = adapt_batchnorm(source_network(), load(WORLD).images)
    return {
        SOURCE: always(as_it_is(source)),
        ADABN: always(as_it_is(adapted)),
        **{way: always(as_it_is(model)) for way, model in networks.items()},
        SOUP: always(as_it_is(soup(mates, labelled))),
        ENSEMBLE: always(together([as_it_is(model) for model in mates])),
        WISE: always(as_it_is(wise)),
        VARIED: lambda kind: as_it_is(varied[kind]),
        TTA: always(functools.partial(in_views, tuned)),
        STATISTICS: always(functools.partial(in_batches, tuned)),
        WISE_STATISTICS: always(functools.partial(in_batches, wise)),
        VARIED_WISE: lambda kind: as_it_is(both[kind]),
        ALL: lambda kind: functools.partial(in_batches, both[kind]),
    }


def always(answer: Answer) -> ByKind:
    """Answer in one way under whatever kind of corruption."""
    return lambda kind: answer


def as_it_is(model: nn.Module) -> Answer:
    """Ask a network, its running statistics as they are."""
    return lambda data: F.log_softmax(predict(model, data), 1)


def together(answers: Sequence[Answer]) -> Answer:
    """Average the probabilities of several networks."""
    return lambda data: torch.stack([answer(data) for answer in answers]).logsumexp(0)  # the mean, but for a constant


def in_batches(model: nn.Module, data: ImageSet) -> torch.Tensor:
    """Answer by the statistics of each batch of 64 images instead of the running ones (Nado et al., 2020)."""
    order = torch.randperm(len(data), generator=generator("stream", 0))
    parts = data.images[order].tensor_split(round(len(data) / BATCH))
    answers = torch.cat(list(by_batch_statistics(model, parts)))
    return F.log_softmax(answers, 1)[order.argsort()]


@torch.no_grad()
def in_views(model: nn.Module, data: ImageSet) -> torch.Tensor:
    """Average the probabilities of 16 views of every image, each moved and recoloured a little."""
    draws, augment = generator("views", 0), Augment()
    with evaluation_mode(model) as device:
        x = scale(data.images).to(device)
        views = [F.log_softmax(model(augment(x, draws)), 1).cpu() for _ in range(VIEWS)]
    return torch.stack(views).logsumexp(0)


def held_table(seeds: Sequence[int]) -> pd.DataFrame:
    """Measure all ways with 5 labels a class."""
    return grid(trial, per_class=[5], seed=seeds)


def many_labels_table(seeds: Sequence[int]) -> pd.DataFrame:
    """Measure all ways with 50 labels a class."""
    return grid(trial, per_class=[50], seed=seeds)


def longer_trial(per_class: int, seed: int) -> list[dict[str, Any]]:
    """Measure fine-tuning and WiSE-FT after three times the updates, clean and at severity 3."""
    labelled, source = load(WORLD).few(per_class, seed), source_network()
    rows = []
    for way in (SCRATCH, TUNED, LP_FT):
        model = learned(way, labelled, seed, recipe=LONGER)
        tested = {way: model, **({WISE: between(source, model, ALPHA, labelled)} if way == TUNED else {})}
        for name, tested_model in tested.items():
            answering = always(as_it_is(tested_model))
            rows += [{"way": name, "severity": s, **LONGER.budget, **measured(answering, s)} for s in (0, MIDDLE)]
    return rows


def longer_table(seeds: Sequence[int]) -> pd.DataFrame:
    """Measure the same ways after 1,800 updates instead of 600."""
    return grid(longer_trial, per_class=(5, 50), seed=seeds)


def dial_trial(per_class: int, seed: int) -> list[dict[str, Any]]:
    """Measure ways along the dial between the domains; columns are the positions."""
    labelled = load(WORLD).few(per_class, seed)
    source, tuned = source_network(), learned(TUNED, labelled, seed)
    adapted = adapt_batchnorm(source_network(), load(WORLD).images)
    models = {SOURCE: source, ADABN: adapted, TUNED: tuned, WISE: between(source, tuned, ALPHA, labelled)}
    models |= {way: learned(way, labelled, seed) for way in (PROBE, SCRATCH, LP_FT, LORA)}
    asked = {way: as_it_is(model) for way, model in models.items()}
    asked[STATISTICS] = functools.partial(in_batches, tuned)
    rows = []
    for way, answer in asked.items():
        for shift in (0.0, *SHIFTS):
            data = moved_pool(shift)
            rows.append({"way": way, "shift": shift, "accuracy": right(answer(data), data)})
    return rows


def dial_table(seeds: Sequence[int]) -> pd.DataFrame:
    """Measure ways along the dial, with 5 labels a class."""
    return grid(dial_trial, per_class=[5], seed=seeds)
