"""What images without labels add to a few labelled ones, from several starts: the first half of notebook 07."""

import copy
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pandas as pd
from torch import nn

from tlcourse.adaptation.adabn import adapt_batchnorm
from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import train_test
from tlcourse.evaluation.predict import accuracy, predict
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.results import grid
from tlcourse.training.recipe import CONVERGED, Recipe
from tlcourse.training.starts import starting_model
from tlcourse.unlabelled.fixmatch import FixMatch
from tlcourse.unlabelled.mean_teacher import MeanTeacher
from tlcourse.unlabelled.pseudo_labels import PseudoLabels
from tlcourse.unlabelled.semi_supervised import Method, semi_supervised_updates

WORLD = "handwritten-photo"
SHORT = replace(CONVERGED, epochs=6)  # for a notebook: 60 updates
LONGER = replace(CONVERGED, epochs=3 * CONVERGED.epochs)
FROZEN_AT = 0.25  # the shift at which settings were chosen, so that they are not chosen for the world measured on
LOOKS = 10  # times that a training is measured on the way
THRESHOLD = 0.9
FEW = (1, 5)  # labels of each class

Setting = dict[str, float]


class Way(NamedTuple):
    """A method, with the settings that were tried at `FROZEN_AT`; the first of them was the best there, and is used."""

    method: Callable[..., Method]
    settings: tuple[Setting, ...] = ({},)


ALONE, PSEUDO, TEACHER, FIXMATCH = "labels alone", "pseudo-labels", "mean teacher", "FixMatch"
WAYS = {
    ALONE: Way(Method),
    PSEUDO: Way(PseudoLabels, ({"weight": 0.3}, {"weight": 1.0})),
    TEACHER: Way(
        MeanTeacher,
        (
            {"weight": 10.0, "decay": 0.97},
            {"weight": 10.0, "decay": 0.99},
            {"weight": 3.0, "decay": 0.99},
            {"weight": 30.0, "decay": 0.99},
        ),
    ),
    FIXMATCH: Way(
        FixMatch,
        tuple(
            {"threshold": threshold, "decay": decay} for threshold in (0.8, 0.9, 0.95) for decay in (0.95, 0.97, 0.99)
        ),
    ),
}
GOOD_AND_BAD = (0, 1)  # seeds of a training that went well, and of one that did not
SOURCES = ("scratch", "letters", "digits")

_pools = functools.cache(train_test)


def method_of(way: str, setting: Setting | None = None) -> Method:
    """Return a method with its chosen setting, unless another is given."""
    return WAYS[way].method(**(WAYS[way].settings[0] if setting is None else setting))


def starting_network(source: str, seed: int, classes: int = 10) -> nn.Module:
    """Return random weights, or a network that comes with the course; that of the digits keeps its head."""
    if source == "digits" and classes == 10:
        return pretrained("tiny_resnet", "digits")
    if source == "scratch":
        return starting_model("scratch", seed, classes=classes)
    return starting_model("fine-tuned", seed, classes=classes, source=source)


def trial(
    way: str,
    source: str,
    per_class: int,
    seed: int,
    *,
    shift: float = 0.0,
    setting: Setting | None = None,
    recipe: Recipe = CONVERGED,
) -> dict[str, Any]:
    """Learn from a few labels and the whole training pool without labels, and measure on the test pool in percent.

    The seed is that of the labels drawn, batches, augmentation and fresh weights. `pool` is the accuracy on the images
    without labels, `best` the highest of ten looks at the *test* pool on the way, which nobody may have.
    `own_statistics` is the accuracy before batch normalisation is measured on the images without labels. `taken` is the
    share of the pool that is answered with a probability of at least 0.9 in the end, `right` how many of those answers
    are right.
    """
    pool, test = _pools(WORLD, shift=shift)
    model, method = starting_network(source, seed), method_of(way, setting)
    few = pool.few(per_class, seed)
    looks = [accuracy(seen, test) for seen in watched(model, few, pool, method, seed, recipe)]
    *on_the_way, own, last = looks
    found = judged(model, pool)
    return {
        **recipe.budget,
        **{"accuracy": last, "best": max(*on_the_way, last), "own_statistics": own},
        **{"pool": 100 * found["correct"].mean(), "taken": 100 * found["taken"].mean()},
        "right": 100 * found.loc[found["taken"], "correct"].mean(),  # nan where none is taken
    }


def short_trial(way: str, per_class: int, seed: int) -> dict[str, Any]:
    """Do a trial of 60 updates from the letters, and say which it was."""
    measured = trial(way, "letters", per_class, seed, recipe=SHORT)
    return {"way": way, "source": "letters", "per_class": per_class, "seed": seed, **measured}


def watched(
    model: nn.Module, few: ImageSet, pool: ImageSet, method: Method, seed: int, recipe: Recipe
) -> Iterator[nn.Module]:
    """Learn, and give out the network: ready to be asked at every look, with its own statistics, and at the end."""
    steps = semi_supervised_updates(model, few, pool.images, method, recipe, seed=seed)
    every = recipe.updates // LOOKS
    for done, _ in enumerate(steps, start=1):
        if done % every == 0 and done < recipe.updates:
            yield adapt_batchnorm(copy.deepcopy(method.present(model)), pool.images)
        elif done == recipe.updates:
            yield method.present(model)
    yield model


def judged(model: nn.Module, pool: ImageSet, threshold: float = THRESHOLD) -> pd.DataFrame:
    """Ask a network about images without labels: whether each answer is taken, and is correct; a row an image.

    The labels are for us, who look on; no method has them.
    """
    chances = predict(model, pool).softmax(1)
    confidence, answers = chances.max(1)
    columns = {"label": pool.labels, "answer": answers, "confidence": confidence}
    frame = pd.DataFrame({name: values.cpu().numpy() for name, values in columns.items()})
    return frame.assign(taken=frame["confidence"] >= threshold, correct=frame["answer"] == frame["label"])


def semi_settings(seeds: Sequence[int]) -> pd.DataFrame:
    """Learn with every setting that was tried, with one label a class, in the world where settings are chosen.

    What chooses is `pool`, the accuracy on the images that were learned from without labels; no test image has a say.
    """
    frames = []
    for way in (PSEUDO, TEACHER, FIXMATCH):
        for setting in WAYS[way].settings:
            tried = functools.partial(trial, shift=FROZEN_AT, setting=setting)
            rows = grid(tried, way=[way], source=["letters"], per_class=[1], seed=seeds)
            rows.insert(1, "setting", named(setting))
            frames.append(rows)
    kept = ["way", "setting", "seed", *CONVERGED.budget, "pool", "taken", "right"]
    return pd.concat(frames, ignore_index=True)[kept]


def named(setting: Setting) -> str:
    """Say in words what a setting is, such as "threshold 0.8, decay 0.95"."""
    return ", ".join(f"{name} {value:g}" for name, value in setting.items())


def semi(seeds: Sequence[int]) -> pd.DataFrame:
    """Compare labels alone with FixMatch, from random weights and from the letters."""
    return grid(trial, way=[ALONE, FIXMATCH], source=["scratch", "letters"], per_class=FEW, seed=seeds)


def semi_digits(seeds: Sequence[int]) -> pd.DataFrame:
    """Do the same from the network of printed digits, which knows the classes already."""
    return grid(trial, way=[ALONE, FIXMATCH], source=["digits"], per_class=FEW, seed=seeds)


def semi_ways(seeds: Sequence[int]) -> pd.DataFrame:
    """Do the same by the older methods, from the letters."""
    return grid(trial, way=[PSEUDO, TEACHER], source=["letters"], per_class=FEW, seed=seeds)


def semi_longer(seeds: Sequence[int]) -> pd.DataFrame:
    """Train for three times as long: from the letters, and from random weights with one label a class."""
    longer = functools.partial(trial, recipe=LONGER)
    letters = grid(longer, way=[ALONE, FIXMATCH], source=["letters"], per_class=FEW, seed=seeds)
    return grid(longer, way=[ALONE, FIXMATCH], source=["scratch"], per_class=[1], seed=seeds, add_to=letters)


def answered(source: str, seed: int, *, per_class: int = 1) -> list[dict[str, Any]]:
    """Learn by FixMatch, and say at every look, for every class, what the teacher's answers for the pool are worth.

    Rows are of the class that an image truly has: `taken` is the share of its images that are answered surely enough,
    `right` the share that is taken and right, both in percent of the class.
    """
    pool, _ = _pools(WORLD, shift=0.0)
    model, method = starting_network(source, seed), method_of(FIXMATCH)
    rows = []
    for look, seen in enumerate(watched(model, pool.few(per_class, seed), pool, method, seed, CONVERGED), start=1):
        found = judged(seen, pool).assign(both=lambda frame: frame["taken"] & frame["correct"])
        by_class = 100 * found.groupby("label")[["taken", "both"]].mean()
        for label, row in by_class.iterrows():
            updates = min(look, LOOKS) * CONVERGED.updates // LOOKS
            rows.append({"updates": updates, "digit": label, "taken": row["taken"], "right": row["both"]})
    return rows[: LOOKS * len(pool.classes)]  # what follows is the last look again, with other statistics


def answered_over_time(seeds: Sequence[int]) -> pd.DataFrame:
    """Look at the teacher's answers from both starts, with one label a class."""
    return grid(answered, source=["scratch", "letters"], seed=seeds)


def saved(alone: pd.DataFrame, learned: pd.DataFrame) -> pd.DataFrame:
    """Put labels alone, of notebook 00's curve, and FixMatch into one frame; the column `learned` says which it was."""
    starts = {"scratch": "scratch, labels alone", "fine-tuned": "letters, labels alone"}
    curve = alone[alone["start"].isin(starts)].assign(learned=alone["start"].map(starts))
    matched = learned[(learned["way"] == FIXMATCH) & learned["source"].isin(["scratch", "letters"])]
    matched = matched.assign(learned=matched["source"] + ", FixMatch")
    kept = ["learned", "per_class", "seed", "accuracy"]
    return pd.concat([curve[kept], matched[kept]], ignore_index=True)
