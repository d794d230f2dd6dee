"""An image set that lives in memory: all images in one tensor, all labels in another."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import torch

from tlcourse.data.batches import Batches, Transform
from tlcourse.data.splits import few_per_class, stratified_split
from tlcourse.repro import generator


@dataclass(frozen=True)
class ImageSet:
    """Images, their labels and the names of the classes; refuses what does not fit together."""

    images: torch.Tensor  # uint8 [N, 3, H, W]
    labels: torch.Tensor  # class numbers, int64 [N]
    classes: tuple[str, ...]  # names of the classes
    attributes: Mapping[str, torch.Tensor] = field(default_factory=dict)  # further labels by name, each [N]
    name: str = "images"  # in tables and pictures

    def __post_init__(self) -> None:
        _check_images(self.images)
        _check_labels(self.labels, len(self.images), self.classes)
        for name, values in self.attributes.items():
            if len(values) != len(self.images):
                raise ValueError(
                    f"attribute {name!r} has {len(values)} values for {len(self.images)} images. Expected one an image."
                )

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        n, _, height, width = self.images.shape
        return f"ImageSet({self.name!r}: {n:,} images of {height}x{width}, {len(self.classes)} classes)"

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Refuse to be looped over: a training needs batches, and an image set has no size of batch."""
        raise TypeError(
            f"{self!r} cannot be looped over, but batches of (images, labels) were expected. Use its .batches(50)."
        )

    def subset(self, indices: torch.Tensor) -> "ImageSet":
        """Return the images at `indices` (int64 `[M]` or bool `[N]`), in that order, as a new set."""
        attributes = {name: values[indices] for name, values in self.attributes.items()}
        return replace(self, images=self.images[indices], labels=self.labels[indices], attributes=attributes)

    def few(self, per_class: int, seed: int = 0) -> "ImageSet":
        """Keep the same small number of images from every class, at random; ValueError when a class has fewer."""
        return self.subset(few_per_class(self.labels, per_class, generator("few", seed)))

    def split(self, fraction: float, seed: int = 0) -> tuple["ImageSet", "ImageSet"]:
        """Split into two disjoint sets with the same share of every class, `fraction` of it in the first."""
        first, second = stratified_split(self.labels, fraction, generator("split", seed))
        return self.subset(first), self.subset(second)

    def shared_with(self, other: "ImageSet") -> int:
        """Count the images that `other` has too, pixel for pixel.

        Accuracy on images that the network was trained on says nothing about new ones; this finds them.
        """
        theirs = {image.numpy().tobytes() for image in other.images.cpu()}
        return sum(image.numpy().tobytes() in theirs for image in self.images.cpu())

    def to(self, device: torch.device | str) -> "ImageSet":
        """Return the set with images and labels on `device`."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def batches(
        self, size: int, *, steps: int | None = None, transform: Transform | None = None, seed: int = 0
    ) -> Batches:
        """Return shuffled training batches of scaled images; see `Batches`."""
        return Batches(self.images, self.labels, size, steps=steps, transform=transform, seed=seed)


def _check_images(images: torch.Tensor) -> None:
    if not isinstance(images, torch.Tensor):
        raise TypeError(
            f"images are a {type(images).__name__}, but a torch tensor was expected. Use torch.from_numpy(images)."
        )
    if images.dtype != torch.uint8:
        to_bytes = "(images * 255).round()" if images.numel() and images.max() <= 1 else "images.round()"
        raise TypeError(
            f"images are {images.dtype}, but uint8 from 0 to 255 was expected. "
            f"If these are from 0 to {1 if '255' in to_bytes else 255}, use {to_bytes}.to(torch.uint8)."
        )
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(
            f"images have shape {list(images.shape)}, but [N, 3, H, W] was expected. "
            "Move the channels first with permute(0, 3, 1, 2); repeat a grey channel with expand(-1, 3, -1, -1)."
        )


def _check_labels(labels: torch.Tensor, count: int, classes: tuple[str, ...]) -> None:
    if labels.dtype != torch.int64:
        raise TypeError(f"labels are {labels.dtype}, but int64 class numbers were expected. Use labels.long().")
    if labels.shape != (count,):
        raise ValueError(
            f"labels have shape {list(labels.shape)} for {count} images. Expected [{count}], one an image."
        )
    outside = labels[(labels < 0) | (labels >= len(classes))]
    if len(outside):
        raise ValueError(
            f"label {int(outside[0])} is outside the {len(classes)} classes. "
            f"Expected 0 to {len(classes) - 1}; check the list of classes, or whether counting began at 1."
        )
