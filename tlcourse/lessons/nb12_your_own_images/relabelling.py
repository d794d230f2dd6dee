"""Top losses, looked at and relabelled: which photographs have a wrong label, and is the classifier better for it?"""

from collections.abc import Sequence

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.notebook.results import grid
from tlcourse.photos.memory import PhotoSource
from tlcourse.photos.probe import CachedFeatures, cache_features
from tlcourse.repro import generator
from tlcourse.transfer.linear_probe import solve_probe

WRONG = 0.1  # share of the labels that are made wrong
FOLDS = 3
LOOKS = 60  # photographs that a person looks at and relabels


def top_losses(known: CachedFeatures, classes: int, seed: int = 0) -> torch.Tensor:
    """Return the places of photographs, the least plausible label first, int64 `[N]`.

    Each is judged by a probe that did not learn from it: one that did has been told the wrong label too.
    """
    x, losses = known.features / known.features.std(), torch.zeros(len(known.labels))
    order = torch.randperm(len(x), generator=generator("top losses", seed))
    for held in order.tensor_split(FOLDS):  # of rare classes, a fold may have none
        others = order[~torch.isin(order, held)]
        probe = solve_probe(x[others], known.labels[others], classes)
        logits = (x[held].double() @ probe.weight.T + probe.bias).float()
        losses[held] = F.cross_entropy(logits, known.labels[held], reduction="none")
    return losses.argsort(descending=True, stable=True)


def relabelling(
    model: nn.Module, train: PhotoSource, test: PhotoSource, seeds: Sequence[int] = range(10)
) -> pd.DataFrame:
    """Make a tenth of the labels wrong, let a person look at 60 photographs, train again: a row for each way to look.

    The person is played by the labels as they were. `found` of the 60 had a wrong label, and `accuracy` is that of a
    linear probe on test photographs, in percent.
    """
    known, asked = cache_features(model, train), cache_features(model, test)
    return grid(lambda seed: trial(known, asked, len(train.classes), seed), seed=seeds)


def trial(known: CachedFeatures, test: CachedFeatures, classes: int, seed: int) -> list[dict[str, str | int | float]]:
    """Make labels wrong, look in four ways, and train again: a row each, as `relabelling` says."""
    draws = generator("wrong labels", seed)
    order = torch.randperm(len(known.labels), generator=draws)
    wrong = order[: round(WRONG * len(order))]
    labels = known.labels.clone()
    labels[wrong] = (labels[wrong] + torch.randint(1, classes, (len(wrong),), generator=draws)) % classes
    spoilt = known._replace(labels=labels)
    looked = {
        "as found": order[:0],
        "random looked at": torch.randperm(len(order), generator=draws)[:LOOKS],
        "top losses looked at": top_losses(spoilt, classes, seed)[:LOOKS],
        "all right": wrong,
    }
    size, rows = known.features.std(), []
    for name, places in looked.items():
        mended = labels.clone()
        mended[places] = known.labels[places]
        probe = solve_probe(known.features / size, mended, classes)
        answers = (test.features.double() / size @ probe.weight.T + probe.bias).argmax(1)
        right = 100 * (answers == test.labels).double().mean().item()
        rows.append({"labels": name, "found": int(torch.isin(places, wrong).sum()), "accuracy": right})
    return rows
