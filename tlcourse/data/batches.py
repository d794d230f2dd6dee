"""Batches from an image set in memory: whole batches of tensors, cut, scaled and augmented on the device."""

from collections.abc import Callable, Iterator

import torch

from tlcourse.data.normalisation import scale
from tlcourse.repro import generator

Transform = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


class Batches:
    """Shuffled batches of scaled images and labels, different in every epoch and the same for the same seed and epoch.

    Images are uint8 `[N, 3, H, W]`, a batch float32 `[B, 3, H, W]` with int64 `[B]`. With `steps=None` an epoch shows
    every image once. With a number of steps, an epoch is that many full batches from an endless stream of fresh
    shuffles, so that ten images and ten thousand get the same number of updates, and a small set is seen many times,
    each time augmented anew.
    """

    def __init__(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        size: int,
        *,
        steps: int | None = None,
        transform: Transform | None = None,
        seed: int = 0,
    ) -> None:
        if len(images) == 0 or size < 1 or (steps is not None and steps < 1):
            raise ValueError(
                f"got {len(images)} images, batches of {size}, {steps} steps an epoch. Expected at least one of each."
            )
        self.images, self.labels = images, labels
        self.size, self.steps = size, steps
        self.transform, self.seed, self.epoch = transform, seed, 0

    def __len__(self) -> int:
        return self.steps or -(-len(self.images) // self.size)

    def set_epoch(self, epoch: int) -> None:
        """Choose which epoch the next loop runs through, so that an interrupted training can go on where it was."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        draws = generator("batches", self.seed, self.epoch)
        self.epoch += 1
        # moved once, as a GPU would be waited for at every batch
        for rows in self._order(draws).to(self.images.device).split(self.size):
            x = scale(self.images.index_select(0, rows))  # uint8 -> float32, [B, 3, H, W]
            yield (self.transform(x, draws) if self.transform else x), self.labels.index_select(0, rows)

    def _order(self, draws: torch.Generator) -> torch.Tensor:
        """Return the indices of an epoch: one shuffle, or as many as its steps need, end to end."""
        wanted = self.steps * self.size if self.steps else len(self.images)
        shuffles = [torch.randperm(len(self.images), generator=draws) for _ in range(-(-wanted // len(self.images)))]
        return torch.cat(shuffles)[:wanted]
