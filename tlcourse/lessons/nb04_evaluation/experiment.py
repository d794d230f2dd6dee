"""What notebook 04 measures: networks from several starts, their answers to test images, and how good those are."""

import copy
import functools
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load, train_test
from tlcourse.evaluation.calibration import calibration_error, fit_temperature
from tlcourse.evaluation.intervals import standard_error
from tlcourse.evaluation.predict import accuracy, predict
from tlcourse.evaluation.transfer_measures import forgetting
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.results import grid
from tlcourse.training.parallel import side_by_side
from tlcourse.training.recipe import CONVERGED, Recipe, train
from tlcourse.training.starts import starting_model
from tlcourse.transfer.heads import get_classifier
from tlcourse.transfer.linear_probe import linear_probe

# name of a network: how it starts, and what its backbone was pretrained on
NETWORKS = {
    "scratch": ("scratch", "letters"),
    "letters": ("fine-tuned", "letters"),
    "digits": ("fine-tuned", "digits"),
    "letters probe": ("linear probe", "letters"),
    "digits probe": ("linear probe", "digits"),
}
TRAINED = ("scratch", "letters", "digits")
LIVE = ("scratch", "letters")  # in the notebook
SOURCES = ("letters", "digits")  # the two that are close
FIRST_VALIDATION_SHEET = 5
PRACTICE_SHARE = 0.7  # of a training pool without sheets
PER_CLASS = 5
SHORT = Recipe()


def train_validation_test(world: str = "handwritten-photo") -> tuple[ImageSet, ImageSet, ImageSet]:
    """Return images to learn from, to choose with, and to measure on: practice, validation and test.

    Of handwriting, each has sheets of its own: 646 images on 5, 260 on 2, and 509 on 4. Where nobody knows who made an
    image, practice and validation are drawn at random, with the same share of every class.
    """
    pool, test = train_test(world)
    if "sheet" not in pool.attributes:
        return *pool.split(PRACTICE_SHARE), test
    later = pool.attributes["sheet"] >= FIRST_VALIDATION_SHEET
    return pool.subset(~later), pool.subset(later), test


def origin(pile: ImageSet) -> str:
    """Say where the images of a pile come from, as far as it is known."""
    if "sheet" not in pile.attributes:
        return "of unknown origin"
    return f"on the sheets {pile.attributes['sheet'].unique().tolist()}"


def train_network(
    name: str, seed: int, labelled: ImageSet, validation: ImageSet | None = None, recipe: Recipe = CONVERGED
) -> tuple[nn.Module, list[float]]:
    """Train one of `NETWORKS`; the seed is that of fresh weights and batches. A probe is solved, whatever the recipe.

    Returns it with its accuracy on validation after every epoch, which changes nothing in the training; without
    validation, and for a probe, there is none. Raises ValueError when there is no such network.
    """
    if name not in NETWORKS:
        raise ValueError(f"there is no network {name!r}. Expected one of: {', '.join(map(repr, NETWORKS))}.")
    start, source = NETWORKS[name]
    model = starting_model(start, seed, classes=len(labelled.classes), source=source)
    if start == "linear probe":
        linear_probe(model, labelled)
        return model, []
    return model, train(model, labelled, recipe, seed=seed, validation=validation).validation_accuracy


def train_networks(labelled: ImageSet, names: Sequence[str] = LIVE, seed: int = 0) -> dict[str, nn.Module]:
    """Train several networks on the same images, side by side, and return them by name."""
    trained = side_by_side(train_network, [(name, seed, labelled) for name in names])
    return {name: model for name, (model, _) in zip(names, trained, strict=True)}


def answer(
    network: str, seed: int, *, piles: tuple[ImageSet, ImageSet, ImageSet], recipe: Recipe = SHORT
) -> dict[str, Any]:
    """Train a network on a few practice images, and keep what it answers to every test image, as text, a digit each.

    The seed is that of everything random, the same for all networks, which makes them comparable in pairs. The row has
    the budget, none for a probe, and the accuracy in percent.
    """
    practice, _, test = piles
    model, _ = train_network(network, seed, practice.few(PER_CLASS, seed), recipe=recipe)
    answers = predict(model, test).argmax(1)
    budget = {} if "probe" in network else recipe.budget
    percent = 100 * (answers == test.labels).double().mean().item()
    return {**budget, "accuracy": percent, "answers": "".join(map(str, answers.tolist()))}


def short_answers(seeds: Sequence[int]) -> pd.DataFrame:
    """Ask every network about the test images, after a short training; probes are solved."""
    return grid(functools.partial(answer, piles=train_validation_test()), seed=seeds, network=list(NETWORKS))


def evaluate_networks(seeds: Sequence[int]) -> pd.DataFrame:
    """Train networks until they have converged, and measure them."""
    practice, validation, test = train_validation_test()

    def trial(seed: int, network: str) -> dict[str, Any]:
        model, curve = train_network(network, seed, practice.few(PER_CLASS, seed), validation)
        return {**CONVERGED.budget, **measure(network, model, curve, validation, test)}

    return grid(trial, seed=seeds, network=TRAINED)


def measure(
    network: str, model: nn.Module, curve: Sequence[float], validation: ImageSet, test: ImageSet
) -> dict[str, Any]:
    """Look at a trained network from several sides.

    `accuracy` and calibration errors, in percent and points, are on the test pool; `error_after` is with all logits
    divided by the temperature that validation asks for. `forgotten` are the points lost on the source. `curve` is text:
    the accuracy on validation after every epoch.
    """
    temperature = fit_temperature(predict(model, validation), validation.labels)
    logits, source = predict(model, test), NETWORKS[network][1]
    return {
        "accuracy": 100 * (logits.argmax(1) == test.labels).double().mean().item(),
        "temperature": temperature,
        "error_before": calibration_error(logits, test.labels),
        "error_after": calibration_error(logits / temperature, test.labels),
        "forgotten": math.nan if network == "scratch" else forgetting(*old_task_accuracy(model, source)),
        "curve": " ".join(f"{percent:.1f}" for percent in curve),
    }


def hits_of(rows: pd.DataFrame, labels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Say by network whether that of each seed reads each image: bool `[seeds, N]`, in order of the seeds."""
    hits = {}
    for network, group in rows.groupby("network", sort=False):
        answers = [[int(digit) for digit in text] for text in group.sort_values("seed")["answers"]]
        hits[network] = torch.tensor(answers) == labels
    return hits


def curves_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Turn the curves of the table `evaluated` into a row an epoch: `network`, `seed`, `updates` and accuracy.

    `goal` is what scratch reaches in the end with the same seed.
    """
    curves = rows[["network", "seed", "updates"]].assign(
        reached=[[float(percent) for percent in curve.split()] for curve in rows["curve"]]
    )
    goals = curves[curves["network"] == "scratch"].set_index("seed")["reached"].str[-1]
    epochs = curves.assign(goal=curves["seed"].map(goals)).explode("reached", ignore_index=True)
    runs = epochs.groupby(["network", "seed"])
    epochs["updates"] *= (runs.cumcount() + 1) / runs["updates"].transform("size")
    return epochs.astype({"reached": float}).rename(columns={"reached": "accuracy on validation (%)"})


def sources_of_variance(hits: torch.Tensor, sheets: torch.Tensor) -> dict[str, float]:
    """Measure how far an accuracy scatters when one thing is drawn afresh: the training, the images, the sheets.

    `hits` are bool `[seeds, N]`, `sheets` int64 `[N]`; the standard deviations of the accuracy of one network are in
    points. Raises ValueError when there are fewer than two seeds or sheets.
    """
    percent = 100 * hits.double()
    per_seed = percent.mean(1)
    if len(per_seed) < 2:
        raise ValueError(f"got hits of {len(per_seed)} network. Expected at least two seeds to see how they differ.")
    images = [standard_error(row.tolist()) for row in percent]
    groups = [standard_error(row.tolist(), sheets.tolist()) for row in percent]
    return {
        "training (seed)": per_seed.std().item(),
        "test images": sum(images) / len(images),
        "test sheets": sum(groups) / len(groups),
    }


def old_task_accuracy(model: nn.Module, source: str, count: int = 1000) -> tuple[float, float]:
    """Ask about held-out images of what a backbone was pretrained on: before its training on the target, and after.

    After, the trained network gets its old head back, on a copy. Both are in percent.
    """
    before, old_images = pretrained("tiny_resnet", source), load("printed-photo", source, "test", count=count)
    after, device = copy.deepcopy(model), next(model.parameters()).device
    setattr(after, after.head_name, copy.deepcopy(get_classifier(before)).to(device))
    return accuracy(before, old_images), accuracy(after, old_images)
