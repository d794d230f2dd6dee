"""Images of a kind that no network here has learned: which score tells them from handwritten digits?"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import torch
from torch import nn

from tlcourse.data.backgrounds import TARGET_PHOTO, cut_patches, patch_boxes
from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import blend, load
from tlcourse.evaluation.ensemble import ensemble
from tlcourse.evaluation.predict import extract_features, predict
from tlcourse.evaluation.strange import auroc, class_distance, energy, missed, neighbour_distance, unsureness
from tlcourse.lessons.nb11_robustness.conditions import pool_under
from tlcourse.lessons.nb11_robustness.networks import FINE_TUNED, PROBE, labelled, network
from tlcourse.lessons.nb11_robustness.sureness import MEMBERS
from tlcourse.notebook.results import grid
from tlcourse.repro import generator
from tlcourse.training.recipe import CONVERGED

COUNT = 500  # images of each kind
OF_FIVE = "unsureness of five"


def _patches() -> torch.Tensor:
    boxes = patch_boxes(TARGET_PHOTO, COUNT, "test", generator("strange patches"))
    return cut_patches(TARGET_PHOTO, boxes)  # float32 [COUNT, 3, 32, 32], 0 to 255


def letters() -> torch.Tensor:
    """Draw printed letters over the photograph that is behind the digits."""
    ink = load("printed", "letters", "test", count=COUNT).images.float()
    return blend(ink, _patches()).round().to(torch.uint8)


def source_letters() -> torch.Tensor:
    """Draw letters over the photograph of the source: other fonts and patches than those it was trained on."""
    return load("printed-photo", "letters", "test", count=COUNT).images


def blank_patches() -> torch.Tensor:
    """Cut out patches of the photograph with nothing written on them."""
    return _patches().round().to(torch.uint8)


def noise() -> torch.Tensor:
    """Draw every pixel and colour on its own."""
    draws = generator("strange noise")
    return torch.randint(256, (COUNT, 3, 32, 32), dtype=torch.uint8, generator=draws)


STRANGE: dict[str, Callable[[], torch.Tensor]] = {
    "letters": letters,
    "letters of the source": source_letters,
    "blank patches": blank_patches,
    "noise": noise,
}


@functools.cache
def strange_images(kind: str) -> ImageSet:
    """Return images of one kind; their labels mean nothing."""
    images = STRANGE[kind]()
    return ImageSet(images, torch.zeros(len(images), dtype=torch.int64), pool_under().classes, name=kind)


def scores(model: nn.Module, known: ImageSet, data: ImageSet) -> dict[str, torch.Tensor]:
    """Return every score of strangeness of images, float64 `[N]` each; `known` are those that taught the network."""
    logits, features, taught = predict(model, data), extract_features(model, data), extract_features(model, known)
    return {
        "unsureness": unsureness(logits),
        "energy": energy(logits),
        "class distance": class_distance(features, taught, known.labels),
        "neighbour distance": neighbour_distance(features, taught),
    }


def all_scores(start: str, seed: int, data: ImageSet) -> dict[str, torch.Tensor]:
    """Return the scores of a start; of fine-tuning, also the unsureness of five networks together."""
    found = scores(network(start, seed), labelled(seed), data)
    if start == FINE_TUNED:
        members = [network(start, seed, member=member) for member in range(MEMBERS)]
        found[OF_FIVE] = unsureness(ensemble([predict(member, data) for member in members]))
    return found


def trial(start: str, seed: int) -> list[dict[str, Any]]:
    """Tell strange images from the digits of the test pool by every score: `auroc` and `missed`, in percent.

    `confidence` is the mean confidence in percent in the answers to strange images.
    """
    familiar = all_scores(start, seed, pool_under())
    rows = []
    for kind in STRANGE:
        strange = all_scores(start, seed, strange_images(kind))
        confidence = 100 * (1 - strange["unsureness"].mean().item())
        for score, values in strange.items():
            told = {"auroc": auroc(values, familiar[score]), "missed": missed(values, familiar[score])}
            rows.append({"strange": kind, "score": score, **told, "confidence": confidence, **CONVERGED.budget})
    return rows


def strange_inputs(seeds: Sequence[int]) -> pd.DataFrame:
    """Measure a probe and fine-tuned networks with the same labels."""
    return grid(trial, start=(PROBE, FINE_TUNED), seed=seeds)


MORE_TABLES = {"strange_inputs": (strange_inputs, 6)}
