"""MixUp and CutMix: two images in one, and a label that says how much of each."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from tlcourse.data.augmentations import boxes
from tlcourse.repro import generator

Mixing = Callable[[torch.Tensor, torch.Tensor, torch.Generator], tuple[torch.Tensor, torch.Tensor]]


def soft_labels(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Turn class numbers, int64 `[B]`, into probabilities, float32 `[B, classes]`: 1 for the class, 0 for the rest."""
    return F.one_hot(labels, classes).float()


def mix_up(
    x: torch.Tensor, soft: torch.Tensor, partners: torch.Tensor, shares: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Lay a partner over each image like a second exposure, and mix the labels alike.

    `soft` are probabilities `[B, classes]`, `partners` numbers of images in the batch, `shares` (0 to 1, `[B]`) how
    much stays of the image itself.

    Source: Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: Beyond empirical risk minimization", 2018, ICLR.
    """
    own, theirs = shares.to(x.device), partners.to(x.device)
    mixed = x.lerp(x[theirs], 1 - own[:, None, None, None])
    return mixed, soft.lerp(soft[theirs], 1 - own[:, None])


def cut_mix(
    x: torch.Tensor, soft: torch.Tensor, partners: torch.Tensor, mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Paste a partner into each image where `mask`, bool `[B, 1, H, W]`, is true; the label counts the pixels.

    Source: Yun et al., "CutMix: Regularization strategy to train strong classifiers with localizable features", 2019,
    ICCV.
    """
    mask, theirs = mask.to(x.device), partners.to(x.device)
    pasted = mask.float().mean((1, 2, 3))[:, None]  # share of the pixels that are the partner's
    return torch.where(mask, x[theirs], x), soft.lerp(soft[theirs], pasted)


@dataclass(frozen=True)
class MixUp:
    """Mix every image with another of its batch by a share drawn from Beta(alpha, alpha); 0 changes nothing."""

    alpha: float = 0.4

    def __call__(
        self, x: torch.Tensor, soft: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        partners = torch.randperm(len(x), generator=generator)
        return mix_up(x, soft, partners, beta(len(x), self.alpha, generator))


@dataclass(frozen=True)
class CutMix:
    """Paste a rectangle of another into every image, its area 1 minus a draw from Beta(alpha, alpha); 0: nothing."""

    alpha: float = 1.0

    def __call__(
        self, x: torch.Tensor, soft: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        size = torch.tensor(x.shape[2:])
        partners = torch.randperm(len(x), generator=generator)
        pasted = 1 - beta(len(x), self.alpha, generator)
        sides = (pasted.sqrt()[:, None] * size).round().long()  # [B, 2]: the area is the share of the partner
        middle = (torch.rand(len(x), 2, generator=generator) * size).long()
        top, left = (middle - sides // 2).unbind(1)
        return cut_mix(x, soft, partners, boxes(*x.shape[2:], top, left, sides))


class MixedBatches:
    """Batches that are mixed as they come, for `fit`: cross-entropy takes probabilities, `[B, classes]`, as well."""

    def __init__(
        self, batches: Iterable[tuple[torch.Tensor, torch.Tensor]], mixing: Mixing, classes: int, seed: int = 0
    ) -> None:
        self.batches, self.mixing, self.classes = batches, mixing, classes
        self.seed, self.epoch = seed, 0

    def __len__(self) -> int:
        return len(self.batches)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch
        if hasattr(self.batches, "set_epoch"):
            self.batches.set_epoch(epoch)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        draws = generator("mixing", self.seed, self.epoch)
        self.epoch += 1
        for x, labels in self.batches:
            yield self.mixing(x, soft_labels(labels, self.classes), draws)


def beta(count: int, alpha: float, generator: torch.Generator) -> torch.Tensor:
    """Draw shares, float32 `[count]`, from Beta(alpha, alpha): near 0 or 1 when alpha is small, all alike when it is 1.

    At 0 every share is 1. PyTorch's own beta distribution takes no generator, so this one seeds NumPy's.
    """
    if not alpha >= 0:
        raise ValueError(f"alpha is {alpha}, but a number from 0 (no mixing) was expected, such as 0.4.")
    seed = int(torch.randint(2**62, (), generator=generator))
    if alpha == 0:
        return torch.ones(count)
    return torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha, count)).float()
