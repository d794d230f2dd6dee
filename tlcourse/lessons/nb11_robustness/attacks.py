"""Changes of a few grey levels that somebody computed: on the network itself, on its source, on strangers."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import torch
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.adversarial import fgsm, pgd, project, to_bytes
from tlcourse.evaluation.predict import accuracy
from tlcourse.lessons.nb11_robustness.conditions import pool_under
from tlcourse.lessons.nb11_robustness.networks import FINE_TUNED, PROBE, SCRATCH, network
from tlcourse.notebook.results import grid
from tlcourse.repro import generator
from tlcourse.training.recipe import CONVERGED

LEVELS = (1, 2, 4, 8)  # of 255
NOISE, FGSM, PGD = "random signs", "FGSM", "PGD"
ITSELF, RELATIVE, SOURCE, STRANGER = "itself", "another fine-tuned network", "the source, with a probe", "from scratch"
# Who does not know the network has labels of their own, and computes on one of these instead.
SURROGATES = {RELATIVE: FINE_TUNED, SOURCE: PROBE, STRANGER: SCRATCH}


def random_signs(model: nn.Module, data: ImageSet, levels: int) -> torch.Tensor:
    """Move every pixel as far as an attack does, up or down as a coin says: no network is asked."""
    signs = 2 * torch.randint(2, data.images.shape, generator=generator("random signs", levels)) - 1
    return to_bytes(project(data.images + levels * signs, data.images.float(), levels))


METHODS: dict[str, Callable[[nn.Module, ImageSet, int], torch.Tensor]] = {NOISE: random_signs, FGSM: fgsm, PGD: pgd}


def attacked(model: nn.Module, data: ImageSet, method: str, levels: int) -> ImageSet:
    """Return the images that a method makes on a network."""
    return replace(data, images=METHODS[method](model, data, levels))


def trial(seed: int, *, levels: Sequence[int] = LEVELS, count: int | None = None) -> list[dict[str, Any]]:
    """Attack a fine-tuned network: accuracy in percent on images that were `made_on` it, or on another network.

    The others learned from the labels of the next seed. `count` keeps the first images of the test pool.
    """
    data = pool_under()
    data = data if count is None else data.subset(torch.arange(count))
    victim = network(FINE_TUNED, seed)
    makers = {ITSELF: victim} | {name: network(start, seed + 1) for name, start in SURROGATES.items()}
    plan = [(ITSELF, NOISE), (ITSELF, FGSM)] + [(name, PGD) for name in makers]
    rows = []
    for name, method in plan:
        reached = {0: data} | {level: attacked(makers[name], data, method, level) for level in levels}
        for level, images in reached.items():
            found = {"accuracy": accuracy(victim, images), "on_maker": accuracy(makers[name], images)}
            rows.append({"made_on": name, "method": method, "levels": level, **found, **CONVERGED.budget})
    return rows


def attacks(seeds: Sequence[int]) -> pd.DataFrame:
    """Attack networks by all methods."""
    return grid(trial, seed=seeds)


MORE_TABLES = {"attacks": (attacks, 5)}
