"""Is a trunk that learned several tasks a better source? Printed letters first, a few handwritten digits then."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
from torch import nn

from tlcourse.data.worlds import load, train_test
from tlcourse.evaluation.predict import accuracy
from tlcourse.lessons.nb09_many_tasks.ways import RECIPE, TASKS, new_network
from tlcourse.multitask.tasks import tasks_of
from tlcourse.multitask.training import learn_tasks
from tlcourse.notebook.results import grid
from tlcourse.transfer.heads import reset_classifier
from tlcourse.transfer.linear_probe import linear_probe

SOURCE, TARGET = "printed-photo", "handwritten-photo"
LETTERS = 4000
SOURCES = {"the class alone": TASKS[:1], "all five tasks": TASKS, "all but the class": TASKS[1:]}
FEW = (1, 5, 20)
PRETRAINING = replace(RECIPE, epochs=60)  # 600 updates


def pretrained_on(source: str, seed: int) -> nn.Module:
    """Return a trunk that learned some tasks of 4,000 printed letters, from random weights, with a head for digits."""
    data = load(SOURCE, "letters", count=LETTERS, seed=100 + seed)
    network = new_network(tasks_of(data, SOURCES[source]), seed)
    learn_tasks(network, data, recipe=PRETRAINING, seed=seed)
    reset_classifier(network.trunk, 10)
    return network.trunk


def trial(source: str, seed: int) -> list[dict[str, Any]]:
    """Carry the trunk over, and solve a head for a few handwritten digits; the accuracy is that on the test pool."""
    pool, test = train_test(TARGET)
    trunk, rows = pretrained_on(source, seed), []
    for per_class in FEW:
        linear_probe(trunk, pool.few(per_class, seed))
        rows.append({"per_class": per_class, **PRETRAINING.budget, "accuracy": accuracy(trunk, test)})
    return rows


def sources(seeds: Sequence[int]) -> pd.DataFrame:
    """Compare trunks that learned the class alone, all tasks, or all but the class."""
    return grid(trial, source=SOURCES, seed=seeds)
