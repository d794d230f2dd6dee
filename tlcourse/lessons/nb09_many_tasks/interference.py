"""Do the tasks pull in different directions? Cosines between their gradients, on the way and stage by stage."""

import copy
from collections.abc import Sequence
from typing import Any

import pandas as pd

from tlcourse.data.normalisation import scale
from tlcourse.lessons.nb09_many_tasks.ways import EQUAL, RECIPE, TASKS, WAYS, new_network, recipe_of, training_images
from tlcourse.multitask.disagreement import gradient_cosines
from tlcourse.multitask.network import MultiTask
from tlcourse.multitask.tasks import answers_to, tasks_of
from tlcourse.multitask.training import multitask_updates
from tlcourse.notebook.results import grid

LOOKS = (1, 10, 30, 100, RECIPE.updates)
ASKED = 500  # images whose gradients are compared


def cosines_of(network: MultiTask, seed: int) -> list[dict[str, Any]]:
    """Return the cosine of every pair of tasks in every stage, for the first 500 images that are learned from."""
    data = training_images(seed)
    x, answers = scale(data.images[:ASKED]), answers_to(data, network.tasks)[:ASKED]
    rows = []
    for stage, found in gradient_cosines(copy.deepcopy(network).train(), x, answers).items():
        for a, first in enumerate(TASKS):
            for b, second in enumerate(TASKS[:a]):
                rows.append({"stage": stage, "pair": f"{second}, {first}", "cosine": found[a, b].item()})
    return rows


def trial(seed: int) -> list[dict[str, Any]]:
    """Learn all tasks by the equal sum, and look at their gradients on the way."""
    recipe, _ = recipe_of(WAYS[EQUAL].best)
    data = training_images(seed)
    network = new_network(tasks_of(data, TASKS), seed)
    rows = []
    for done, _ in enumerate(multitask_updates(network, data, recipe=recipe, seed=seed), start=1):
        if done in LOOKS:
            rows += [{"updates": done, **row} for row in cosines_of(network, seed)]
    return rows


def interference(seeds: Sequence[int]) -> pd.DataFrame:
    """Look at the gradients of the tasks in some trainings."""
    return grid(trial, seed=seeds)
