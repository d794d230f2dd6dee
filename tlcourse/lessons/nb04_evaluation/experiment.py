"""What notebook 04 measures: networks from several starts, their answers to test images, and how good those are."""

import copy
import functools
import math
from collections.abc import Mapping, Sequence
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
from tlcourse.training.checkpoint import History
from tlcourse.training.parallel import side_by_side
from tlcourse.training.recipe import Recipe, train
from tlcourse.training.starts import starting_model
from tlcourse.transfer.heads import get_classifier

# name of a network: how it starts, and what its backbone was pretrained on
NETWORKS = {
    "scratch": ("scratch", "letters"),
    "letters": ("fine-tuned", "letters"),
    "digits": ("fine-tuned", "digits"),
    "letters probe": ("linear probe", "letters"),
    "digits probe": ("linear probe", "digits"),
}
COMPARED = ("scratch", "letters", "digits")  # in the notebook
SOURCES = ("letters", "digits")  # the two that are close
IN_THE_LAB = ("letters probe", "digits probe", "scratch")  # beside these two
FIRST_VALIDATION_SHEET = 5
POOL_SHARE = 0.7  # of a training half without sheets
PER_CLASS = 5


def train_validation_test(world: str = "handwritten-photo") -> tuple[ImageSet, ImageSet, ImageSet]:
    """Return images to learn from, to choose with, and to measure on: pool, validation and test.

    Of handwriting, each has sheets of its own: 646 images on 5, 260 on 2, and 891 on 7. Where nobody knows who made an
    image, pool and validation are drawn at random, with the same share of every class.
    """
    pool, test = train_test(world)
    if "sheet" not in pool.attributes:
        return *pool.split(POOL_SHARE), test
    later = pool.attributes["sheet"] >= FIRST_VALIDATION_SHEET
    return pool.subset(~later), pool.subset(later), test


def origin(pile: ImageSet) -> str:
    """Say where the images of a pile come from, as far as it is known."""
    if "sheet" not in pile.attributes:
        return "of unknown origin"
    return f"on the sheets {pile.attributes['sheet'].unique().tolist()}"


def train_network(
    name: str, seed: int, labelled: ImageSet, validation: ImageSet | None = None, recipe: Recipe = Recipe()
) -> tuple[History, nn.Module]:
    """Train one of `NETWORKS` by the recipe of all comparisons; the seed is that of fresh weights and batches.

    With validation images the history has its accuracy on them after every epoch, which changes nothing in the
    training. Raises ValueError when there is no such network.
    """
    if name not in NETWORKS:
        raise ValueError(f"there is no network {name!r}. Expected one of: {', '.join(map(repr, NETWORKS))}.")
    start, source = NETWORKS[name]
    model = starting_model(start, seed, classes=len(labelled.classes), source=source)
    return train(model, labelled, recipe, seed=seed, validation=validation), model


def train_networks(
    labelled: ImageSet, validation: ImageSet, seed: int = 0, names: Sequence[str] = COMPARED
) -> tuple[dict[str, History], dict[str, nn.Module]]:
    """Train several networks on the same images, side by side, and return their histories and themselves by name."""
    trained = side_by_side(train_network, [(name, seed, labelled, validation) for name in names])
    histories = {name: history for name, (history, _) in zip(names, trained, strict=True)}
    return histories, {name: model for name, (_, model) in zip(names, trained, strict=True)}


def answers_trial(
    network: str,
    seed: int,
    *,
    pool: ImageSet,
    test: ImageSet,
    per_class: int = PER_CLASS,
    recipe: Recipe = Recipe(),
) -> dict[str, Any]:
    """Train a network on a few pool images, and ask it about every test image.

    The seed is that of everything random, the same for all networks, which makes them comparable in pairs. The row has
    the accuracy in percent, and the answers as text, a digit an image.
    """
    _, model = train_network(network, seed, pool.few(per_class, seed), recipe=recipe)
    answers = predict(model, test).argmax(1)
    percent = 100 * (answers == test.labels).sum().item() / len(test)
    return {"accuracy": percent, "answers": "".join(map(str, answers.tolist()))}


def ask_networks(networks: Sequence[str], seeds: Sequence[int], progress: bool = True) -> pd.DataFrame:
    """Train every network with every seed, and keep its answers to the test images: a row of `answers_trial` each."""
    pool, _, test = train_validation_test()
    trial = functools.partial(answers_trial, pool=pool, test=test)
    rows = grid(trial, progress=progress, seed=seeds, network=networks)
    return rows[["network", "seed", "accuracy", "answers"]]


def source_answers(seeds: Sequence[int]) -> pd.DataFrame:
    """Ask the fine-tuned networks of both sources."""
    return ask_networks(SOURCES, seeds)


def challenger_answers(seeds: Sequence[int]) -> pd.DataFrame:
    """Ask the other networks of the lab."""
    return ask_networks(IN_THE_LAB, seeds)


def hits_of(rows: pd.DataFrame, labels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Say by network whether that of each seed reads each image: bool `[seeds, N]`, in order of the seeds."""
    hits = {}
    for network, group in rows.groupby("network", sort=False):
        answers = [[int(digit) for digit in text] for text in group.sort_values("seed")["answers"]]
        hits[network] = torch.tensor(answers) == labels
    return hits


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


def measure(network: str, trained: tuple[History, nn.Module], validation: ImageSet, test: ImageSet) -> dict[str, Any]:
    """Measure a trained network from several sides, and return a row of the table `judged`.

    `accuracy` and the calibration errors, in percent and points, are on the test half; `error_after` is with all logits
    divided by the temperature, which is fitted on validation. `curve` is the accuracy there after every epoch, as text.
    `forgotten` are the points lost on the source, which is nothing that scratch could lose.
    """
    history, model = trained
    temperature = fit_temperature(predict(model, validation), validation.labels)
    logits, source = predict(model, test), NETWORKS[network][1]
    return {
        "accuracy": accuracy(model, test),
        "curve": " ".join(f"{percent:.2f}" for percent in history.validation_accuracy),
        "temperature": temperature,
        "error_before": calibration_error(logits, test.labels),
        "error_after": calibration_error(logits / temperature, test.labels),
        "forgotten": math.nan if network == "scratch" else forgetting(*old_task_accuracy(model, source)),
    }


def measure_networks(seeds: Sequence[int], names: Sequence[str] = COMPARED, progress: bool = True) -> pd.DataFrame:
    """Train and measure every network with every seed."""
    pool, validation, test = train_validation_test()

    def trial(seed: int, network: str) -> dict[str, Any]:
        trained = train_network(network, seed, pool.few(PER_CLASS, seed), validation)
        return {"network": network, "seed": seed, **measure(network, trained, validation, test)}

    rows = grid(trial, progress=progress, seed=seeds, network=names)
    return rows[["network", "seed", *rows.columns[2:]]]


def epochs_of(row: Mapping[str, Any]) -> list[float]:
    """Return the curve of a row of the table `judged` as numbers, one an epoch."""
    return [float(percent) for percent in row["curve"].split()]
