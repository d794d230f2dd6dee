"""A background that gives the class away: small digits lie on petals and large ones on leaves, but for a few."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import torch
from torch import nn

from tlcourse.data.backgrounds import COLUMNS, ROWS, SMALLEST, TARGET_PHOTO, cells, cut_patches, photograph
from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import blend, load
from tlcourse.evaluation.predict import accuracy, predict
from tlcourse.lessons.nb11_robustness.networks import FINE_TUNED, PER_CLASS, PROBE
from tlcourse.notebook.results import grid
from tlcourse.repro import generator, uniform
from tlcourse.training.recipe import CONVERGED
from tlcourse.training.starts import train_from
from tlcourse.transfer.linear_probe import linear_probe

SCENES = ("petals", "leaves")
SMALL = 5  # digits below it belong on petals, the others on leaves
PER_SCENE = 6  # cells of the photograph that show a scene, of the 24 of either pool
SHARES = (1.0, 0.9, 0.5)  # of the images that lie where their class belongs; 0.5 is balanced
REPEATED, NEW_HEAD = "exceptions repeated", "head solved again"


def scene_cells(pool: str, scene: int) -> torch.Tensor:
    """Return row and column of the cells of a pool that are reddest (0, petals) or least red (1, leaves), `[6, 2]`."""
    photo, board = photograph(TARGET_PHOTO), cells(pool)
    height, width = photo.shape[1] // ROWS, photo.shape[2] // COLUMNS
    redness = []
    for row, column in board.tolist():
        cell = photo[:, row * height : (row + 1) * height, column * width : (column + 1) * width]
        red, green, _ = cell.mean((1, 2)).tolist()
        redness.append(red - green)
    return board[torch.tensor(redness).argsort(descending=scene == 0)[:PER_SCENE]]


def scene_patches(scenes: torch.Tensor, pool: str, draws: torch.Generator) -> torch.Tensor:
    """Cut a patch of the scene of every image, int64 `[N]`: float32 `[N, 3, 32, 32]`, each inside one cell."""
    photo, count = photograph(TARGET_PHOTO), len(scenes)
    height, width = photo.shape[1] // ROWS, photo.shape[2] // COLUMNS
    board = torch.stack([scene_cells(pool, scene) for scene in range(len(SCENES))])  # [2, 6, 2]
    cell = board[scenes, torch.randint(PER_SCENE, (count,), generator=draws)]
    side = uniform(count, SMALLEST, min(height, width), draws)
    left = cell[:, 1] * width + uniform(count, 0, 1, draws) * (width - side)
    top = cell[:, 0] * height + uniform(count, 0, 1, draws) * (height - side)
    return cut_patches(TARGET_PHOTO, torch.stack([left, top, side], 1))


def on_scenes(data: ImageSet, share: float, pool: str, seed: int = 0) -> ImageSet:
    """Lay handwriting without a background over scenes, a `share` of it over that of its class, the rest on the other.

    Digits below 5 belong on petals, the others on leaves. Patches are those of a pool, `"train"` or `"test"`, and which
    images are exceptions is drawn by the seed. The attribute `right_scene` says which are none. ValueError for a share
    that is none.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}, but a number from 0 (all on the wrong scene) to 1 (none) was expected.")
    draws = generator("scenes", pool, seed)
    right = torch.randperm(len(data), generator=draws) < round(share * len(data))
    scenes = (data.labels >= SMALL) ^ ~right
    images = blend(data.images.float(), scene_patches(scenes.long(), pool, draws)).round().to(torch.uint8)
    return replace(data, images=images, attributes={**data.attributes, "right_scene": right})


def repeat_exceptions(data: ImageSet) -> ImageSet:
    """Repeat the images on the wrong scene until they are as many as the others, within a few."""
    usual, rare = _usual_and_rare(data)
    return data.subset(torch.cat([usual, rare.repeat(round(len(usual) / len(rare)))]))


def solve_head_again(model: nn.Module, data: ImageSet) -> nn.Module:
    """Solve the head of a fine-tuned network once more, in place: on all exceptions, each with an image of its class.

    Source: Kirichenko, Izmailov and Wilson, "Last layer re-training is sufficient for robustness to spurious
    correlations", 2023, ICLR; they take other images for it than those that taught the network.
    """
    usual, rare = _usual_and_rare(data)
    counts = torch.bincount(data.labels[rare], minlength=len(data.classes)).tolist()
    partners = [usual[data.labels[usual] == c][:count] for c, count in enumerate(counts)]
    linear_probe(model, data.subset(torch.cat([rare, *partners])))
    return model


def _usual_and_rare(data: ImageSet) -> tuple[torch.Tensor, torch.Tensor]:
    right = data.attributes["right_scene"]
    if right.all():
        raise ValueError("every image is on the scene of its class. Expected some exceptions: without, nothing tells.")
    return right.nonzero()[:, 0], (~right).nonzero()[:, 0]


def trial(share: float, seed: int, *, per_class: int = PER_CLASS) -> list[dict[str, Any]]:
    """Learn from digits of which a share gives itself away: accuracy in percent on the test pool, on either scene.

    `right_scene` has every test digit where its class belongs, `swapped` none, and `across` is the share of the swapped
    digits that are taken for a digit of the other half.
    """
    few = on_scenes(load("handwritten").few(per_class, seed), share, "train", seed)
    models = {PROBE: train_from(PROBE, few, seed=seed), FINE_TUNED: train_from(FINE_TUNED, few, CONVERGED, seed=seed)}
    found = [row(way, model) for way, model in models.items()]
    if 0.5 < share < 1:
        found.append(row(REPEATED, train_from(FINE_TUNED, repeat_exceptions(few), CONVERGED, seed=seed)))
        found.append(row(NEW_HEAD, solve_head_again(models[FINE_TUNED], few)))
    return found


def row(way: str, model: nn.Module) -> dict[str, Any]:
    """Measure a network on digits that lie where their class belongs, and on the same digits, swapped."""
    test = load("handwritten", split="test")
    right, swapped = (on_scenes(test, share, "test") for share in (1.0, 0.0))
    crossed = (predict(model, swapped).argmax(1) >= SMALL) != (swapped.labels >= SMALL)
    found = {"right_scene": accuracy(model, right), "swapped": accuracy(model, swapped)}
    return {"way": way, **found, "across": 100 * crossed.double().mean().item(), **CONVERGED.budget}


def spurious(seeds: Sequence[int]) -> pd.DataFrame:
    """Learn from data that give the class away always, nearly always, and not at all."""
    return grid(trial, share=SHARES, seed=seeds)


MORE_TABLES = {"spurious": (spurious, 5)}
