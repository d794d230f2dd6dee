"""When sharing helps, and when it hurts: few answers to one task, beside many to others."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch

from tlcourse.lessons.nb09_many_tasks.ways import (
    RECIPE,
    TASKS,
    guessing,
    new_network,
    test_images,
    training_images,
)
from tlcourse.multitask.tasks import answers_to, only, tasks_of
from tlcourse.multitask.training import learn_tasks
from tlcourse.notebook.results import grid
from tlcourse.repro import generator

ALONE, ALL = "alone", "all others"
FEW = (50, 200)  # images with an answer to the main task; all 2,000 answer the others


def trial(main: str, beside: str, labels: int, seed: int) -> dict[str, Any]:
    """Learn a main task from a few answers, alone or beside tasks that all 2,000 images answer; `error` is its own.

    The seed is that of images, weights, batches, and of which images have an answer. Beside other tasks, half of a
    batch has an answer to the main one; alone, all of it has: whoever shares sees no more images, and half the answers.
    """
    data, draws = training_images(seed), generator("few answers", seed)
    few, rest = torch.randperm(len(data), generator=draws).split([labels, len(data) - labels])
    others = {ALONE: (), ALL: [name for name in TASKS if name != main]}.get(beside, [beside])
    seen = torch.cat([few.repeat(len(rest) // labels), rest]) if others else few
    shown, known = data.subset(seen), torch.isin(seen, few)
    tasks = tasks_of(data.subset(few), [main]) + tasks_of(data, others)  # nothing of the main task is known of the rest
    network = new_network(tasks, seed)
    answers = only(answers_to(shown, network.tasks), 0, known)
    learn_tasks(network, shown, recipe=RECIPE, answers=answers, seed=seed)
    return {**RECIPE.budget, "error": network.errors(test_images())[main]}


def few_answers(seeds: Sequence[int]) -> pd.DataFrame:
    """Learn each task from a few answers, alone and beside all other tasks; and the class from 1,000, alone."""
    rows = grid(trial, main=TASKS, beside=[ALONE, ALL], labels=FEW, seed=seeds)
    return grid(trial, main=["class"], beside=[ALONE], labels=[1000], seed=seeds, add_to=rows)


def changes(few: pd.DataFrame, beside: pd.DataFrame) -> pd.DataFrame:
    """Say by how much the error of a main task changes beside others, in % of that of guessing, seed by seed."""
    keys = ["main", "labels", "seed"]
    alone = few[few["beside"] == ALONE].set_index(keys)["error"]
    reference = alone.loc[pd.MultiIndex.from_frame(beside[keys])].to_numpy()
    return beside.assign(change=100 * (beside["error"] - reference) / beside["main"].map(guessing(test_images())))
