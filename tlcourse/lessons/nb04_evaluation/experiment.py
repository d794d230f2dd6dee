"""What notebook 04 judges: networks from two sources, and their answers to every test image."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import train_test
from tlcourse.evaluation.intervals import standard_error
from tlcourse.evaluation.predict import predict
from tlcourse.notebook.rows import read_rows, shipped_table
from tlcourse.training.parallel import side_by_side
from tlcourse.training.recipe import Recipe
from tlcourse.training.trials import run_trial

# The networks that are judged: name, way to start, what the backbone was pretrained on.
CONTESTANTS = {
    "scratch": ("scratch", "letters"),
    "letters": ("fine-tuned", "letters"),
    "digits": ("fine-tuned", "digits"),
}
RIVALS = ("letters", "digits")  # the two that are close
FIRST_VALIDATION_SHEET = 5
PRACTICE_SHARE = 0.7  # of a training half without sheets
PER_CLASS = 5
SHIPPED_ANSWERS = shipped_table("source_answers")


@dataclass(frozen=True)
class Answers:
    """What one trained network answered on the test half.

    Attributes:
        network: which one, a name in `CONTESTANTS`.
        seed: seed of its labelled images, fresh weights and batches.
        accuracy: on the test half, in percent.
        answers: its answer to every test image, one digit an image.
    """

    network: str
    seed: int
    accuracy: float
    answers: str


def three_piles(world: str = "handwritten-photo") -> tuple[ImageSet, ImageSet, ImageSet]:
    """Return images to learn from, to choose with, and to measure on; handwriting on sheets of its own each.

    Args:
        world: `"handwritten-photo"`, or another one. Where nobody knows who made an image, practice and validation are
            drawn at random, with the same share of every class.

    Returns:
        Practice, validation and test: of handwriting 646 images on 5 sheets, 260 on 2, and 891 on 7.
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


def contestant(name: str) -> tuple[str, str]:
    """Return the way to start of a contestant, and what its backbone was pretrained on.

    Args:
        name: a name in `CONTESTANTS`.

    Returns:
        Start and source.

    Raises:
        ValueError: there is no such contestant.
    """
    if name not in CONTESTANTS:
        raise ValueError(f"{name!r} is not a contestant. Expected one of: {', '.join(map(repr, CONTESTANTS))}.")
    return CONTESTANTS[name]


def train_contestant(
    name: str, seed: int, practice: ImageSet, test: ImageSet, per_class: int = PER_CLASS, recipe: Recipe = Recipe()
) -> tuple[Answers, nn.Module]:
    """Train one network on a few practice images, and ask it about every test image.

    Args:
        name: a name in `CONTESTANTS`.
        seed: seed of everything random; the same for all contestants, which makes them comparable in pairs.
        practice: where the labelled images are chosen from.
        test: images to ask about.
        per_class: labelled images per class.
        recipe: how to train.

    Returns:
        Its answers, and the network.

    Raises:
        ValueError: there is no such contestant.
    """
    start, source = contestant(name)
    trial, model = run_trial(start, per_class, seed, train=practice, test=test, recipe=recipe, source=source)
    answers = predict(model, test).argmax(1).tolist()
    return Answers(name, seed, trial.accuracy, "".join(map(str, answers))), model


def train_contestants(
    names: Iterable[str], seeds: Iterable[int], progress: bool = True
) -> dict[tuple[str, int], tuple[Answers, nn.Module]]:
    """Train every named network with every seed, several at the same time.

    Args:
        names: names in `CONTESTANTS`.
        seeds: seeds.
        progress: show a progress bar.

    Returns:
        Answers and network by name and seed.
    """
    practice, _, test = three_piles()
    plan = [(name, seed) for seed in seeds for name in names]
    trained = side_by_side(lambda name, seed: train_contestant(name, seed, practice, test), plan, progress)
    return dict(zip(plan, trained, strict=True))


def source_answers(seeds: Sequence[int]) -> list[Answers]:
    """Answers of both rivals for every seed, for notebook 04."""
    return [answers for answers, _ in train_contestants(RIVALS, seeds).values()]


def read_answers(path: Path | str = SHIPPED_ANSWERS) -> list[Answers]:
    """Read answers from a file; by default those that came with the course."""
    return read_rows(path, Answers)


def answer_table(rows: Iterable[Answers], network: str) -> torch.Tensor:
    """Return the answers of one network for all its seeds, int64 `[seeds, images]`, in order of the seeds."""
    chosen = sorted((row for row in rows if row.network == network), key=lambda row: row.seed)
    return torch.tensor([[int(digit) for digit in row.answers] for row in chosen])


def sources_of_luck(hits: torch.Tensor, sheets: torch.Tensor) -> dict[str, float]:
    """Measure how far an accuracy scatters when one thing is drawn afresh: the training, the images, the sheets.

    Args:
        hits: whether the network of each seed reads each image, bool `[seeds, N]`.
        sheets: the sheet of every image, int64 `[N]`.

    Returns:
        Standard deviation of the accuracy of one network, in points, by what is drawn afresh.

    Raises:
        ValueError: fewer than two seeds or sheets.
    """
    percent = 100 * hits.double()
    per_seed = percent.mean(1)
    if len(per_seed) < 2:
        raise ValueError(f"got hits of {len(per_seed)} network. Expected at least two seeds to see how they differ.")
    images = torch.tensor([standard_error(row.tolist()) for row in percent])
    groups = torch.tensor([standard_error(row.tolist(), sheets.tolist()) for row in percent])
    return {
        "training (seed)": per_seed.std().item(),
        "test images": images.mean().item(),
        "test sheets": groups.mean().item(),
    }
