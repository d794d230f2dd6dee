"""Five tasks, and ways to serve them: separate networks, or one trunk with its tasks weighed in different ways."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pandas as pd

from tlcourse.data.augmentations import Augment
from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.multitask.combining import Combined
from tlcourse.multitask.gradnorm import GradNorm
from tlcourse.multitask.network import MultiTask
from tlcourse.multitask.pcgrad import in_drawn_order
from tlcourse.multitask.tasks import Task, answers_to, tasks_of
from tlcourse.multitask.training import learn_tasks
from tlcourse.multitask.uncertainty import Uncertainty
from tlcourse.multitask.weighing import Weighing
from tlcourse.notebook.results import grid
from tlcourse.repro import seeded
from tlcourse.training.recipe import Recipe
from tlcourse.transfer.freezing import count_parameters

WORLD = "printed"
TASKS = ("class", "weight", "slant", "serif", "angle")
IMAGES, HELD = 2000, 1000  # images to learn from, and to choose settings with
# An augmentation must leave every answer as it is: shearing would slant, turning would change the angle.
RECIPE = Recipe(epochs=30, batch=32, augment=Augment(zoom=0.2, light=0.4))
SHORT = replace(RECIPE, epochs=8)  # for a notebook: 80 updates
LONGER = replace(RECIPE, epochs=3 * RECIPE.epochs)

Setting = dict[str, Any]


class Way(NamedTuple):
    """A way to weigh, the settings that were tried, and the one of them that was best on validation images."""

    weighing: Callable[..., Weighing]
    settings: tuple[Setting, ...]
    best: Setting


RATES = (0.003, 0.01)
PLAIN = tuple({"lr": lr, "decay": decay} for lr in RATES for decay in (0.01, 0.1))
WEIGHTS = ((1.0, 1.0, 3.0, 3.0, 1.0), (3.0, 1.0, 1.0, 1.0, 3.0))  # slant and serif count more, or class and angle
SEPARATE, EQUAL, TUNED = "separate networks", "equal sum", "tuned sum"
UNCERTAINTY, GRADNORM, PCGRAD = "uncertainty", "GradNorm", "PCGrad"
WAYS = {
    SEPARATE: Way(Weighing, tuple({"lr": lr} for lr in RATES), {"lr": 0.003}),
    EQUAL: Way(Weighing, PLAIN, {"lr": 0.01, "decay": 0.01}),
    TUNED: Way(
        Weighing,
        tuple({"lr": lr, "weights": weights} for lr in RATES for weights in WEIGHTS),
        {"lr": 0.01, "weights": WEIGHTS[0]},
    ),
    UNCERTAINTY: Way(Uncertainty, PLAIN, {"lr": 0.003, "decay": 0.1}),
    GRADNORM: Way(
        GradNorm,
        tuple({"lr": lr, "alpha": alpha} for lr in RATES for alpha in (0.5, 1.5)),
        {"lr": 0.01, "alpha": 0.5},
    ),
    PCGRAD: Way(lambda: Combined(in_drawn_order()), PLAIN, {"lr": 0.01, "decay": 0.1}),
}
LONG = (EQUAL, TUNED)
BACKWARD = {SEPARATE: len(TASKS), PCGRAD: len(TASKS)}  # passes through a trunk an update; the others need one


def training_images(seed: int, count: int = IMAGES) -> ImageSet:
    """Draw images to learn from: digits in the fonts for training."""
    return load(WORLD, count=count, seed=100 + seed)


def validation_images() -> ImageSet:
    """Return other images in the same fonts, which settings are chosen with."""
    return load(WORLD, count=HELD, seed=99)


def test_images() -> ImageSet:
    """Return images in fonts of other families; nothing is chosen with them."""
    return load(WORLD, split="test", count=IMAGES)


def new_network(tasks: Sequence[Task], seed: int) -> MultiTask:
    """Make a network with random weights and a head for each task."""
    with seeded("weights", seed):
        return MultiTask(TinyResNet(), tasks)


def recipe_of(setting: Setting, recipe: Recipe = RECIPE) -> tuple[Recipe, Setting]:
    """Return the recipe with a setting's rate and decay, and what else the setting says."""
    rest = dict(setting)
    changed = replace(recipe, lr=rest.pop("lr"), weight_decay=rest.pop("decay", recipe.weight_decay))
    return changed, rest


def learned(way: str, seed: int, setting: Setting | None = None, recipe: Recipe = RECIPE) -> list[MultiTask]:
    """Train for all tasks, and return the network; of separate networks, all five."""
    recipe, rest = recipe_of(WAYS[way].best if setting is None else setting, recipe)
    data = training_images(seed)
    groups = [[name] for name in TASKS] if way == SEPARATE else [TASKS]
    return [
        learn_tasks(new_network(tasks_of(data, names), seed), data, WAYS[way].weighing(**rest), recipe, seed=seed)
        for names in groups
    ]


def errors_of(networks: list[MultiTask], data: ImageSet) -> dict[str, float]:
    """Return the error of every task: wrong answers in percent, and for the angle the mean error in degrees."""
    return {name: error for network in networks for name, error in network.errors(data).items()}


def trial(way: str, seed: int, *, recipe: Recipe = RECIPE) -> dict[str, Any]:
    """Learn all tasks, and measure each on the test pool; the seed is that of images, weights and batches.

    `backward` counts the passes through a trunk in an update.
    """
    used, _ = recipe_of(WAYS[way].best, recipe)
    errors = errors_of(learned(way, seed, recipe=recipe), test_images())
    return {**used.budget, **errors, "backward": BACKWARD.get(way, 1)}


def ways(seeds: Sequence[int]) -> pd.DataFrame:
    """Compare the ways, each with its chosen setting."""
    return grid(trial, way=WAYS, seed=seeds)


def longer_trial(way: str, seed: int) -> dict[str, Any]:
    """Do a trial with three times the updates."""
    return trial(way, seed, recipe=LONGER)


def ways_longer(seeds: Sequence[int]) -> pd.DataFrame:
    """Train for three times as long."""
    return grid(longer_trial, way=LONG, seed=seeds)


def cost_trial(way: str, seed: int) -> dict[str, Any]:
    """Time thirty updates, in milliseconds of one core for each, and count the weights that are needed to answer."""
    started = time.thread_time()
    networks = learned(way, seed, recipe=replace(RECIPE, epochs=3))
    spent = 1000 * (time.thread_time() - started) / (3 * RECIPE.steps)
    weights = sum(count_parameters(network.shared() + network.own()) for network in networks)
    return {"milliseconds": spent, "weights": weights, "backward": BACKWARD.get(way, 1)}


def cost(seeds: Sequence[int]) -> pd.DataFrame:
    """Measure what the ways cost."""
    return grid(cost_trial, way=WAYS, seed=seeds)


def settings_trial(way: str, seed: int) -> list[dict[str, Any]]:
    """Learn with every setting of a way, and measure on the validation images."""
    rows = []
    for setting in WAYS[way].settings:
        errors = errors_of(learned(way, 50 + seed, setting), validation_images())
        rows.append({"setting": named(setting), **errors})
    return rows


def ways_settings(seeds: Sequence[int]) -> pd.DataFrame:
    """Try as many settings for every way; the images learned from are other ones than those of `ways`."""
    return grid(settings_trial, way=WAYS, seed=seeds)


def named(setting: Setting) -> str:
    """Say in words what a setting is, such as "lr 0.003, decay 0.1"."""
    texts = {
        name: " ".join(f"{v:g}" for v in value) if isinstance(value, tuple) else f"{value:g}"
        for name, value in setting.items()
    }
    return ", ".join(f"{name} {text}" for name, text in texts.items())


def guessing(data: ImageSet) -> dict[str, float]:
    """Return the errors of whoever never looks, and answers the most frequent class or the mean number."""
    errors = {}
    for task, wanted in zip(tasks_of(data, TASKS), answers_to(data, TASKS).T, strict=True):
        most = wanted.long().bincount().max().item() / len(wanted) if task.classes else None
        errors[task.name] = (wanted - task.middle).abs().mean().item() if most is None else 100 * (1 - most)
    return errors


def normalised(rows: pd.DataFrame, data: ImageSet) -> pd.DataFrame:
    """Add the column `normalised`: the mean over tasks of the error in % of that of guessing, on these images."""
    shares = rows[list(TASKS)] / pd.Series(guessing(data))[list(TASKS)]
    return rows.assign(normalised=100 * shares.mean(axis=1))
