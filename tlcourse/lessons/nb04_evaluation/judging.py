"""Judging one training from several sides: accuracy on the way, calibration, and what it forgot."""

import copy
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.calibration import calibration_error, fit_temperature
from tlcourse.evaluation.predict import accuracy, predict
from tlcourse.evaluation.transfer_measures import forgetting
from tlcourse.lessons.nb04_evaluation.experiment import CONTESTANTS, PER_CLASS, contestant, three_piles
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.rows import read_rows, shipped_table
from tlcourse.training.checkpoint import History
from tlcourse.training.parallel import side_by_side
from tlcourse.training.recipe import Recipe, train
from tlcourse.training.starts import starting_model
from tlcourse.transfer.heads import get_classifier

SHIPPED_JUDGED = shipped_table("judged")


@dataclass(frozen=True)
class Judged:
    """One trained network, judged from several sides.

    Attributes:
        network: which one, a name in `CONTESTANTS`.
        seed: seed of its labelled images, fresh weights and batches.
        accuracy: on the test half, in percent.
        curve: accuracy on the validation images after every epoch, in percent, as text with blanks between.
        temperature: fitted on the validation images.
        error_before: expected calibration error on the test half, in points.
        error_after: the same with all scores divided by the temperature.
        forgotten: points lost on 1,000 images of the source; not a number for scratch, which had no source.
    """

    network: str
    seed: int
    accuracy: float
    curve: str
    temperature: float
    error_before: float
    error_after: float
    forgotten: float

    def epochs(self) -> list[float]:
        """Return the curve as numbers, one an epoch."""
        return [float(percent) for percent in self.curve.split()]


def train_and_watch(
    name: str, seed: int, labelled: ImageSet, watched: ImageSet, recipe: Recipe = Recipe()
) -> tuple[History, nn.Module]:
    """Train a contestant by the recipe of all comparisons, and measure it on validation images after every epoch.

    Looking at these changes nothing in the training. Raises ValueError when there is no such contestant.
    """
    start, source = contestant(name)
    model = starting_model(start, seed, classes=len(labelled.classes), source=source)
    return train(model, labelled, recipe, seed=seed, validation=watched), model


def old_task_accuracy(model: nn.Module, source_model: nn.Module, old_images: ImageSet) -> float:
    """Give a trained backbone its old head back, and ask about the old task.

    Args:
        model: the network after training on the target; unchanged.
        source_model: the network that it began from, whose head belongs to the old classes; unchanged.
        old_images: images of the old task.

    Returns:
        Accuracy in percent.
    """
    again = copy.deepcopy(model)
    setattr(again, again.head_name, copy.deepcopy(get_classifier(source_model)).to(next(model.parameters()).device))
    return accuracy(again, old_images)


def judge(name: str, seed: int, practice: ImageSet, validation: ImageSet, test: ImageSet) -> Judged:
    """Train one contestant and judge it: accuracy, speed, calibration before and after, forgetting.

    Args:
        name: a name in `CONTESTANTS`.
        seed: seed of everything random.
        practice: where the labelled images are chosen from.
        validation: images for the curve and the temperature.
        test: images for the final numbers.

    Returns:
        The judgement.

    Raises:
        ValueError: there is no such contestant.
    """
    history, model = train_and_watch(name, seed, practice.few(PER_CLASS, seed), validation)
    temperature = fit_temperature(predict(model, validation), validation.labels)
    scores = predict(model, test)
    return Judged(
        name,
        seed,
        accuracy(model, test),
        " ".join(f"{percent:.2f}" for percent in history.validation_accuracy),
        temperature,
        calibration_error(scores, test.labels),
        calibration_error(scores / temperature, test.labels),
        math.nan if name == "scratch" else forgotten(model, CONTESTANTS[name][1]),
    )


def forgotten(model: nn.Module, source: str) -> float:
    """Return how many points of 1,000 held-out source images a network lost by training on the target.

    Args:
        model: the network after training; unchanged.
        source: what it had been pretrained on, `"letters"` or `"digits"`.

    Returns:
        Points.
    """
    before, old_images = pretrained("tiny_resnet", source), load("printed-photo", source, "test", count=1000)
    return forgetting(accuracy(before, old_images), old_task_accuracy(model, before, old_images))


def judge_seeds(seeds: Sequence[int], names: Iterable[str] = tuple(CONTESTANTS), progress: bool = True) -> list[Judged]:
    """Judge contestants with every seed, for notebook 04.

    Args:
        seeds: seeds.
        names: which contestants.
        progress: show a progress bar.

    Returns:
        One judgement a seed and contestant.
    """
    piles = three_piles()
    return side_by_side(judge, [(name, seed, *piles) for seed in seeds for name in names], progress)


def read_judged(path: Path | str = SHIPPED_JUDGED) -> list[Judged]:
    """Read judgements from a file; by default those that came with the course."""
    return read_rows(path, Judged)


def column(rows: Iterable[Judged], network: str, field: str) -> list[float]:
    """Return one number of every judgement of a network, in order of the seeds."""
    chosen = sorted((row for row in rows if row.network == network), key=lambda row: row.seed)
    return [getattr(row, field) for row in chosen]
