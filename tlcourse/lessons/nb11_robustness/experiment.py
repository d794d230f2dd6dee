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
from tlcourse.evaluation.ensemble import ensemble
from tlcourse.evaluation.predict import evaluation_mode, predict
from tlcourse.lessons.nb11_robustness.conditions import KINDS, MIDDLE, SHIFT, SHIFTS, TARGET, pool_under, right
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
from tlcourse.notebook.results import grid, paired
from tlcourse.repro import generator
from tlcourse.training.weight_space import between, soup
from tlcourse.unlabelled.tent import batch_statistics

ADABN = "AdaBN"  # the source's network, its statistics measured on the target's training pool; no label is seen
SOUP, ENSEMBLE, WISE = "soup of 4", "ensemble of 4", "WiSE-FT"
TTA, STATISTICS = "16 views", "batch statistics"
WISE_STATISTICS, VARIED_TTA, ALL = "WiSE-FT + batch statistics", "varied + 16 views", "all four"
WISE_RATE = 1e-2  # chosen for the network half way, as the other rates were for the network itself; see `remedy_rates`
ALPHA = 0.5  # half way; what the paper advises where nothing can be chosen on
VIEWS, BATCH = 16, 64
FULL = (SOURCE, PROBE, SCRATCH, TUNED, LP_FT, LORA, ADABN, WISE)  # measured in all severities
# measured clean and at severity 3 alone
BRIEFLY = (PLAIN, SOUP, ENSEMBLE, TTA, STATISTICS, WISE_STATISTICS, VARIED, VARIED_TTA, ALL)
DIALLED = (SOURCE, PROBE, SCRATCH, TUNED, LP_FT, LORA, ADABN, WISE, STATISTICS)  # along the dial

Answer = Callable[[ImageSet], torch.Tensor]  # from images to log-probabilities, float [N, classes]
ByKind = Callable[[str], Answer]  # what answers under a kind of corruption, as a way may have left that kind out


def trial(per_class: int, seed: int) -> list[dict[str, Any]]:
    """Learn from so many labels a class in every way, and measure each: a row for every way and severity.

    Severity 0 is clean. `accuracy` is in percent and `gap` the calibration error in points, both means over the seven
    kinds; each kind's accuracy has its own column. Networks that were trained with corruptions never saw the kind that
    they are measured on: there is one for each kind.
    """
    labelled = load(TARGET).few(per_class, seed)
    rows = []
    for way, answering in ways(labelled, seed).items():
        severities = range(6) if way in FULL else (0, MIDDLE)
        rows += [{"way": way, "severity": severity, **measured(answering, severity)} for severity in severities]
    return rows


def measured(answering: ByKind, severity: int) -> dict[str, float]:
    """Measure a way under all kinds of corruption at one severity."""
    found, gaps, known = {}, [], {}
    for kind in KINDS:
        data, answer = pool_under(kind, severity) if severity else pool_under(), answering(kind)
        if severity or answer not in known:  # of clean images, one network needs one answer
            known[answer] = answer(data)
        logits = known[answer]
        found[kind] = right(logits, data)
        gaps.append(calibration_error(logits, data.labels))
    return {"accuracy": sum(found.values()) / len(KINDS), "gap": sum(gaps) / len(KINDS), **found}


def ways(labelled: ImageSet, seed: int) -> dict[str, ByKind]:
    """Train all networks, and return what answers, way by way.

    `"all four"` is varied training, half way from the source, batch statistics and 16 views.
    """
    source = source_network()
    networks = {way: learned(way, labelled, seed) for way in (PROBE, SCRATCH, TUNED, LP_FT, LORA, PLAIN)}
    tuned = networks[TUNED]
    mates = [tuned, *(learned(TUNED, labelled, seed + 1000 * mate) for mate in (1, 2, 3))]
    wise = between(source, learned(TUNED, labelled, seed, lr=WISE_RATE), ALPHA, labelled)
    varied = {kind: learned(VARIED, labelled, seed, left_out=kind) for kind in KINDS}
    both = {kind: between(source, model, ALPHA, labelled) for kind, model in varied.items()}
    adapted = adapt_batchnorm(source_network(), load(TARGET).images)
    return {
        SOURCE: always(as_it_is(source)),
        ADABN: always(as_it_is(adapted)),
        **{way: always(as_it_is(model)) for way, model in networks.items()},
        SOUP: always(as_it_is(soup(mates, labelled))),
        ENSEMBLE: always(together([as_it_is(model) for model in mates])),
        WISE: always(as_it_is(wise)),
        TTA: always(functools.partial(in_views, tuned)),
        STATISTICS: always(functools.partial(in_batches, tuned)),
        WISE_STATISTICS: always(functools.partial(in_batches, wise)),
        VARIED: lambda kind: as_it_is(varied[kind]),
        VARIED_TTA: lambda kind: functools.partial(in_views, varied[kind]),
        ALL: lambda kind: functools.partial(in_batches, both[kind], views=VIEWS),
    }


def always(answer: Answer) -> ByKind:
    """Answer in one way under whatever kind of corruption."""
    return lambda kind: answer


def as_it_is(model: nn.Module) -> Answer:
    """Ask a network, its running statistics as they are."""
    return lambda data: F.log_softmax(predict(model, data), 1)


def together(answers: Sequence[Answer]) -> Answer:
    """Average the probabilities of several networks."""
    return lambda data: ensemble([answer(data) for answer in answers])


@torch.no_grad()
def in_batches(model: nn.Module, data: ImageSet, views: int = 0) -> torch.Tensor:
    """Answer by the statistics of each batch of 64 images instead of the running ones (Nado et al., 2020).

    With `views`, average the probabilities of so many augmented views of the batch.
    """
    order, answers = torch.randperm(len(data), generator=generator("stream", 0)), []
    draws, augment = generator("views", 0), Augment()
    for part in data.images[order].tensor_split(max(1, round(len(data) / BATCH))):
        with batch_statistics(model) as device:
            x = scale(part).to(device)
            seen = [augment(x, draws) for _ in range(views)] if views else [x]
            answers.append(ensemble([model(each).cpu() for each in seen]))
    return torch.cat(answers)[order.argsort()]


@torch.no_grad()
def in_views(model: nn.Module, data: ImageSet) -> torch.Tensor:
    """Average the probabilities of 16 views of every image, each moved and recoloured a little."""
    draws, augment = generator("views", 0), Augment()
    with evaluation_mode(model) as device:
        x = scale(data.images).to(device)
        return ensemble([model(augment(x, draws)).cpu() for _ in range(VIEWS)])


def above(rows: pd.DataFrame, ways: Sequence[str], severity: int, than: str = TUNED) -> pd.DataFrame:
    """Estimate by how many points each way is above another, seed by seed, at one severity."""
    at = rows[rows["severity"] == severity]
    found = [paired(at, "accuracy", "way", way, than).assign(way=way) for way in ways]
    return pd.concat(found, ignore_index=True)[["way", "mean", "low", "high", "n", "verdict"]]


def held_table(seeds: Sequence[int]) -> pd.DataFrame:
    """Measure all ways with 5 labels a class."""
    return grid(trial, per_class=[5], seed=seeds)


def many_labels_table(seeds: Sequence[int]) -> pd.DataFrame:
    """Measure all ways with 50 labels a class."""
    return grid(trial, per_class=[50], seed=seeds)


def longer_trial(per_class: int, seed: int) -> list[dict[str, Any]]:
    """Measure fine-tuning and WiSE-FT after three times the updates, clean and at severity 3."""
    labelled, source = load(TARGET).few(per_class, seed), source_network()
    rows = []
    for way in (SCRATCH, TUNED, LP_FT):
        found = {way: learned(way, labelled, seed, recipe=LONGER)}
        if way == TUNED:
            quick = learned(way, labelled, seed, recipe=LONGER, lr=WISE_RATE)
            found[WISE] = between(source, quick, ALPHA, labelled)
        for name, model in found.items():
            answering = always(as_it_is(model))
            updates = {"updates": LONGER.updates, "batch": LONGER.batch}
            rows += [{"way": name, "severity": s, **updates, **measured(answering, s)} for s in (0, MIDDLE)]
    return rows


def longer_table(seeds: Sequence[int]) -> pd.DataFrame:
    """Measure some ways after 1,800 updates instead of 600."""
    return grid(longer_trial, per_class=[5], seed=seeds)


def dial_trial(per_class: int, seed: int) -> list[dict[str, Any]]:
    """Measure ways along the dial between the domains; columns are the positions."""
    labelled = load(TARGET).few(per_class, seed)
    source, tuned = source_network(), learned(TUNED, labelled, seed)
    adapted = adapt_batchnorm(source_network(), load(TARGET).images)
    quick = learned(TUNED, labelled, seed, lr=WISE_RATE)
    models = {SOURCE: source, ADABN: adapted, TUNED: tuned, WISE: between(source, quick, ALPHA, labelled)}
    models |= {way: learned(way, labelled, seed) for way in (PROBE, SCRATCH, LP_FT, LORA)}
    asked = {way: as_it_is(model) for way, model in models.items()}
    asked[STATISTICS] = functools.partial(in_batches, tuned)
    rows = []
    for way, answer in asked.items():
        for shift in (0.0, *SHIFTS):
            data = pool_under(SHIFT, shift)
            rows.append({"way": way, "shift": shift, "accuracy": right(answer(data), data)})
    return rows


def dial_table(seeds: Sequence[int]) -> pd.DataFrame:
    """Measure ways along the dial, with 5 labels a class."""
    return grid(dial_trial, per_class=[5], seed=seeds)
