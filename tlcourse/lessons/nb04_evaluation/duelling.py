"""Who else may enter the duel of notebook 04's lab: more ways to start, asked about every test image."""

from collections.abc import Sequence
from pathlib import Path

import torch

from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.predict import predict
from tlcourse.lessons.nb04_evaluation.experiment import PER_CLASS, Answers, answer_table, three_piles
from tlcourse.notebook.rows import read_rows, shipped_table
from tlcourse.training.parallel import side_by_side
from tlcourse.training.trials import run_trial

# name, way to start, what the backbone was pretrained on; the same images and seeds as the rivals of the notebook
CHALLENGERS = {
    "letters probe": ("linear probe", "letters"),
    "digits probe": ("linear probe", "digits"),
    "scratch": ("scratch", "letters"),
}
SHIPPED_CHALLENGERS = shipped_table("challenger_answers")


def challenge(name: str, seed: int, practice: ImageSet, test: ImageSet) -> Answers:
    """Train one challenger as the rivals were trained, and ask it about every test image.

    Args:
        name: a name in `CHALLENGERS`.
        seed: seed of everything random; the same for all, which makes them comparable in pairs.
        practice: where the labelled images are chosen from.
        test: images to ask about.

    Returns:
        Its answers.
    """
    start, source = CHALLENGERS[name]
    trial, model = run_trial(start, PER_CLASS, seed, train=practice, test=test, source=source)
    answers = predict(model, test).argmax(1).tolist()
    return Answers(name, seed, trial.accuracy, "".join(map(str, answers)))


def challenger_answers(seeds: Sequence[int]) -> list[Answers]:
    """Answers of all challengers for every seed, for the lab of notebook 04."""
    practice, _, test = three_piles()
    return side_by_side(challenge, [(name, seed, practice, test) for seed in seeds for name in CHALLENGERS])


def challenger_hits(labels: torch.Tensor, path: Path | str = SHIPPED_CHALLENGERS) -> dict[str, torch.Tensor]:
    """Read whether each challenger reads each test image; by default from the table that came with the course.

    Args:
        labels: right classes of the test images, int64 `[N]`.
        path: the table.

    Returns:
        Bool `[seeds, N]` by name, in the order of `CHALLENGERS`.
    """
    rows = read_rows(path, Answers)
    return {name: answer_table(rows, name) == labels for name in CHALLENGERS}
