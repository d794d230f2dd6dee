"""The comparisons that the notebooks and the labs both run: the same training from different starting weights."""

import argparse
import csv
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from torch import nn
from tqdm.auto import tqdm

from tlcourse.checkpoints import History
from tlcourse.data.augment import Augment
from tlcourse.data.domains import load
from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation import accuracy
from tlcourse.finetuning import count_weights, freeze, trainable
from tlcourse.models.heads import replace_head
from tlcourse.models.zoo import build, pretrained
from tlcourse.repro import seeded
from tlcourse.stats import Interval, bootstrap_mean, paired_difference
from tlcourse.storage import write_atomically
from tlcourse.training import fit

STARTS = ("scratch", "linear probe", "fine-tuned")
LABELS_PER_CLASS = (1, 2, 5, 10, 20, 50)
SCORE_HEADER = ("start", "labels a class", "accuracy in % [95 % interval]", "seconds", "weights trained")
GAIN_HEADER = ("labels a class", "linear probe [95 % interval]", "fine-tuned [95 % interval]")
CURVE = Path(__file__).parent / "results" / "labels_curve.csv"


@dataclass(frozen=True)
class Recipe:
    """How to train on the target: the same for every start, so that only the starting weights differ.

    Attributes:
        epochs: loops of `steps` updates each.
        steps: updates an epoch.
        batch: images an update; few labels are repeated, each time augmented anew.
        rate: highest learning rate of AdamW, reached after 30 % of the updates and then lowered to almost 0.
        decay: weight decay of AdamW.
        augment: how images are varied.
    """

    epochs: int = 10
    steps: int = 10
    batch: int = 50
    rate: float = 5e-3
    decay: float = 0.01
    augment: Augment = Augment(zoom=0.2, shear=0.2, bend=0.04, light=0.4)


@dataclass(frozen=True)
class Trial:
    """One training and its score.

    Attributes:
        start: where the weights came from, one of `STARTS`.
        per_class: labelled images a class.
        seed: seed of the choice of images, of fresh weights, and of batches.
        accuracy: on the test half, in percent.
        seconds: time to train.
        trained: how many weights could move.
    """

    start: str
    per_class: int
    seed: int
    accuracy: float
    seconds: float
    trained: int


def starting_model(
    start: str, seed: int, *, classes: int = 10, network: str = "tiny_resnet", source: str = "letters"
) -> nn.Module:
    """Make a network as one of the three ways to begin has it.

    Args:
        start: `"scratch"` (random weights), `"linear probe"` (pretrained and frozen, a fresh head learns) or
            `"fine-tuned"` (pretrained, a fresh head, everything learns).
        seed: seed of the fresh weights.
        classes: how many target classes.
        network: `"tiny_resnet"` or `"small_cnn"`.
        source: what it was pretrained on, `"letters"` or `"digits"`.

    Returns:
        The network, ready to train.

    Raises:
        ValueError: there is no such start, network or source.
    """
    if start not in STARTS:
        raise ValueError(f"{start!r} is not a way to start. Expected one of: {', '.join(map(repr, STARTS))}.")
    with seeded("weights", seed):
        if start == "scratch":
            return build(network, classes)
        model = pretrained(network, source)
        replace_head(model, classes)
    if start == "linear probe":
        freeze(model)
    return model


def train_on_target(model: nn.Module, labelled: ImageSet, seed: int, recipe: Recipe = Recipe()) -> History:
    """Train a network on a few labelled images by the recipe.

    Args:
        model: the network, trained in place.
        labelled: the images.
        seed: seed of batches and augmentation.
        recipe: how to train.

    Returns:
        What happened in every epoch.
    """
    optimizer = torch.optim.AdamW(trainable(model), lr=recipe.rate, weight_decay=recipe.decay, fused=True)
    updates = recipe.epochs * recipe.steps
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.rate, total_steps=updates, cycle_momentum=False)
    batches = labelled.batches(recipe.batch, steps=recipe.steps, transform=recipe.augment, seed=seed)
    return fit(model, batches, epochs=recipe.epochs, optimizer=optimizer, schedule=schedule, progress=False)


def run_trial(
    start: str,
    per_class: int,
    seed: int,
    *,
    train: ImageSet,
    test: ImageSet,
    recipe: Recipe = Recipe(),
    network: str = "tiny_resnet",
    source: str = "letters",
) -> tuple[Trial, nn.Module]:
    """Choose a few labels, train from one start, and measure on the test half.

    Args:
        start: one of `STARTS`.
        per_class: labelled images a class.
        seed: seed of everything random; the same for all starts, which makes them comparable in pairs.
        train: where the labelled images are chosen from.
        test: images to measure on.
        recipe: how to train.
        network: which network.
        source: what it was pretrained on.

    Returns:
        The trial, and the trained network.
    """
    model = starting_model(start, seed, classes=len(train.classes), network=network, source=source)
    begin = time.perf_counter()
    train_on_target(model, train.few(per_class, seed), seed, recipe)
    seconds = time.perf_counter() - begin
    trial = Trial(start, per_class, seed, accuracy(model, test), seconds, count_weights(trainable(model)))
    return trial, model


def run_trials(
    starts: Sequence[str],
    labels_per_class: Iterable[int],
    seeds: Iterable[int],
    *,
    world: str = "handwritten-photo",
    recipe: Recipe = Recipe(),
    network: str = "tiny_resnet",
    source: str = "letters",
    progress: bool = True,
) -> list[Trial]:
    """Run every combination of start, number of labels and seed on a target world.

    Args:
        starts: some of `STARTS`.
        labels_per_class: how many labelled images a class.
        seeds: seeds.
        world: the target.
        recipe: how to train.
        network: which network.
        source: what it was pretrained on.
        progress: show a progress bar.

    Returns:
        The trials, ordered by number of labels, then seed, then start.
    """
    train, test = load(world), load(world, split="test")
    plan = [(start, k, seed) for k in labels_per_class for seed in seeds for start in starts]
    bar = tqdm(plan, desc="trainings", leave=False, disable=not progress)
    options = {"train": train, "test": test, "recipe": recipe, "network": network, "source": source}
    return [run_trial(start, k, seed, **options)[0] for start, k, seed in bar]


def scores(trials: Iterable[Trial], start: str, per_class: int) -> list[float]:
    """Return the accuracies of one start with so many labels, in percent, ordered by seed."""
    chosen = [trial for trial in trials if (trial.start, trial.per_class) == (start, per_class)]
    return [trial.accuracy for trial in sorted(chosen, key=lambda trial: trial.seed)]


def summarise(trials: Sequence[Trial]) -> dict[tuple[str, int], Interval]:
    """Return mean and 95 % interval of the accuracy for every start and number of labels, in percent."""
    cells = dict.fromkeys((trial.start, trial.per_class) for trial in trials)
    return {cell: bootstrap_mean(scores(trials, *cell)) for cell in cells}


def score_table(trials: Sequence[Trial]) -> list[list[str]]:
    """Return a row of text for every start and number of labels, to be shown under `SCORE_HEADER`."""
    rows = []
    for (start, per_class), interval in summarise(trials).items():
        members = [trial for trial in trials if (trial.start, trial.per_class) == (start, per_class)]
        seconds = sum(trial.seconds for trial in members) / len(members)
        rows.append([start, str(per_class), str(interval), f"{seconds:.1f}", f"{members[0].trained:,}"])
    return rows


def gain_table(trials: Sequence[Trial]) -> list[list[str]]:
    """Return a row of text for every number of labels: what the transfers gain over scratch, under `GAIN_HEADER`."""
    rows = []
    for per_class in sorted({trial.per_class for trial in trials}):
        baseline = scores(trials, "scratch", per_class)
        gains = [paired_difference(scores(trials, start, per_class), baseline) for start in STARTS[1:]]
        rows.append([str(per_class), *map(str, gains)])
    return rows


def save_trials(path: Path | str, trials: Iterable[Trial]) -> Path:
    """Write trials as a table of comma-separated values, atomically.

    Raises:
        StorageError: the file could not be written.
    """
    names = [field.name for field in fields(Trial)]
    lines = [",".join(names)]
    for trial in trials:
        row = asdict(trial) | {"accuracy": f"{trial.accuracy:.3f}", "seconds": f"{trial.seconds:.2f}"}
        lines.append(",".join(str(row[name]) for name in names))
    return write_atomically(path, ("\n".join(lines) + "\n").encode())


def read_trials(path: Path | str = CURVE) -> list[Trial]:
    """Read trials that `save_trials` wrote; by default those that came with the course."""
    types = {field.name: field.type for field in fields(Trial)}
    with open(path, encoding="utf-8", newline="") as file:
        return [Trial(**{name: types[name](value) for name, value in row.items()}) for row in csv.DictReader(file)]


def main() -> None:
    """Compute the shipped curve again: `python -m tlcourse.experiments`."""
    parser = argparse.ArgumentParser(description="Compute the curve of accuracy against labels again.")
    parser.add_argument(
        "--out", type=Path, default=Path("labels_curve.csv"), help="file to write (default: %(default)s)"
    )
    parser.add_argument("--seeds", type=int, default=10, help="how many seeds (default: %(default)s)")
    arguments = parser.parse_args()
    trials = run_trials(STARTS, LABELS_PER_CLASS, range(arguments.seeds))
    print(f"wrote {save_trials(arguments.out, trials)}")
    for (start, per_class), interval in summarise(trials).items():
        print(f"{per_class:3d} labels a class  {start:12s}  {interval} %")


if __name__ == "__main__":
    main()
