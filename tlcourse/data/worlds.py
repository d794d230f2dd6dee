"""The four worlds of the course, the dial that moves them apart, and `load`, the one way in."""

import contextlib
import importlib.metadata
import math
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F

from tlcourse.data import cifar10 as cifar
from tlcourse.data.backgrounds import SOURCE_PHOTO, TARGET_PHOTO, cut_patches, patch_boxes
from tlcourse.data.cache import cached
from tlcourse.data.glyphs import DIGITS, LETTERS, draw_printed
from tlcourse.data.handwriting import handwritten_digits
from tlcourse.data.imageset import ImageSet
from tlcourse.repro import generator
from tlcourse.storage import Tensors

RECIPE = 2  # raise when any image would come out different, so that old files in the cache are not used
MADE_WITH = ("matplotlib", "pillow", "scikit-learn", "torch")  # other versions of these may draw otherwise
LABELS = {"digits": DIGITS, "letters": LETTERS}
SPLITS = ("train", "test")
EXAM = "exam"  # a third pool of handwriting, for checks and grading alone
PRINTED_COUNT = 10_000  # images of a printed world when no number is given
HANDWRITTEN_COUNT = {"train": 906, "test": 509, EXAM: 382}
CACHED_UP_TO = 20_000  # larger sets are drawn anew each time: that takes seconds, and the files would be large

# Where the dial `shift` leads. At 1, characters lean by 30 degrees more, ink keeps 45 % of its strength, and the light
# is that of a late afternoon: less green, half the blue.
LEAN, FADE, EVENING = 30.0, 0.55, (1.0, 0.8, 0.5)


_exam_is_open = ContextVar("_exam_is_open", default=False)


class World(NamedTuple):
    """How a world is made: who writes, and the photograph behind, if any."""

    handwritten: bool
    photo: str | None


WORLDS = {
    "printed": World(False, None),
    "printed-photo": World(False, SOURCE_PHOTO),
    "handwritten": World(True, None),
    "handwritten-photo": World(True, TARGET_PHOTO),
}


def load(
    world: str,
    labels: str = "digits",
    split: str = "train",
    *,
    count: int | None = None,
    shift: float = 0.0,
    seed: int = 0,
) -> ImageSet:
    """Return images of a world, from the cache or drawn now; the same arguments give the same images.

    Worlds are `"printed"`, `"printed-photo"`, `"handwritten"`, `"handwritten-photo"`, or `"cifar10"`, small photographs
    that are downloaded once (170 MB). Fonts, regions of the photographs and sheets of handwriting are split into a
    training and a test pool that share nothing; a third pool of handwriting, `"exam"`, opens in `exam_room` alone.
    `labels` is `"digits"` or, for printed worlds, `"letters"` (35 classes, none of which looks like a digit); CIFAR-10
    has ten classes of its own.

    `shift`, from 0 to 1, moves the very same images away: it leans the characters (of CIFAR-10 the whole photograph),
    fades the ink and turns the light to evening, a little at 0.1 and hard at 1.

    `count` is 10,000 for printed worlds unless given, else all there are: 906 handwritten digits for training and 509
    for testing, 50,000 and 10,000 photographs; a smaller number keeps the first. Printed worlds carry the attributes
    `weight`, `slant`, `serif` and `angle` (degrees), handwritten ones `sheet` (the paper form a digit came from).

    ValueError for an argument not named here; DownloadError when CIFAR-10 is not on this machine and could not be
    fetched.
    """
    _check(world, labels, split, count, shift)
    if world == cifar.NAME:
        photos = cifar.cifar10(split, count)
        return replace(photos, images=_shift_photos(photos.images, shift)) if shift else photos
    wanted = {"world": world, "labels": labels, "split": split, "count": count, "shift": float(shift), "seed": seed}
    if (count or 0) > CACHED_UP_TO:
        tensors = _render(**wanted)
    else:
        made_with = {name: importlib.metadata.version(name) for name in MADE_WITH}
        tensors = cached({**wanted, **made_with, "recipe": RECIPE}, lambda: _render(**wanted))
    return ImageSet(tensors.pop("images"), tensors.pop("labels"), LABELS[labels], tensors, f"{world} {labels}, {split}")


def train_test(world: str, *, shift: float = 0.0) -> tuple[ImageSet, ImageSet]:
    """Return the training and the test pool of a world, of CIFAR-10 the first 2,000 images each.

    A notebook has about a minute, and few labels are what it is about; `load` gives all images.
    """
    count = cifar.IN_A_NOTEBOOK if world == cifar.NAME else None
    train, test = (load(world, split=split, count=count, shift=shift) for split in SPLITS)
    return train, test


@contextlib.contextmanager
def exam_room() -> Iterator[None]:
    """Let `load` give out the exam pool inside: 382 digits on sheets that no notebook shows, for checks and grading.

    What was learned from a notebook, by hand or by a network, was then never tuned to these images.
    """
    was_open = _exam_is_open.set(True)
    try:
        yield
    finally:
        _exam_is_open.reset(was_open)


def _render(world: str, labels: str, split: str, count: int | None, shift: float, seed: int) -> Tensors:
    """Draw the characters, put the photograph behind, and turn the result into bytes."""
    ink, targets, attributes = _characters(world, labels, split, count, seed)
    if "angle" in attributes:
        attributes["angle"] += LEAN * shift
    ink = lean(ink, LEAN * shift) * (1 - FADE * shift)
    photo = WORLDS[world].photo
    region = "train" if split == "train" else "test"
    boxes = patch_boxes(photo, len(ink), region, generator("patches", photo, split, seed)) if photo else None
    light = 1 - shift * (1 - torch.tensor(EVENING))
    rows = torch.arange(len(ink)).split(1000)  # in pieces that fit the processor's caches
    images = torch.cat([_picture(ink[r], photo, None if boxes is None else boxes[r], light) for r in rows])
    return {name: values[:count] for name, values in {"images": images, "labels": targets, **attributes}.items()}


def _characters(
    world: str, labels: str, split: str, count: int | None, seed: int
) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    """Return ink, labels and attributes: as many printed characters as asked for, or all handwritten ones."""
    if not WORLDS[world].handwritten:
        draws = generator("printed", labels, split, seed)
        return draw_printed(LABELS[labels], count or PRINTED_COUNT, split, draws)
    ink, targets, sheets = handwritten_digits(split, generator("handwriting", split, seed))
    return ink, targets, {"sheet": sheets}


def _picture(ink: torch.Tensor, photo: str | None, boxes: torch.Tensor | None, light: torch.Tensor) -> torch.Tensor:
    """Blend ink `[N, 32, 32]` with patches, light the scene `[3]`, and return uint8 `[N, 3, 32, 32]`."""
    white = ink[:, None].expand(-1, 3, -1, -1) * 255
    scene = white if photo is None else blend(white, cut_patches(photo, boxes))
    return (scene * light[:, None, None]).round().to(torch.uint8)


def _shift_photos(images: torch.Tensor, shift: float) -> torch.Tensor:
    """Move whole photographs, uint8 `[N, 3, 32, 32]`, as far as the dial says: lean, fade towards grey, evening."""
    light = (1 - shift * (1 - torch.tensor(EVENING)))[:, None, None]
    moved = []
    for some in images.split(1000):
        leaning = lean(some.flatten(0, 1).float() - 127.5, LEAN * shift).unflatten(0, (-1, 3))  # grey comes in
        moved.append(((leaning * (1 - FADE * shift) + 127.5) * light).round().to(torch.uint8))
    return torch.cat(moved)


def blend(ink: torch.Tensor, scene: torch.Tensor) -> torch.Tensor:
    """Lay ink over a scene by absolute difference, float32 `[N, 3, H, W]` from 0 to 255: ink inverts what is behind.

    MNIST-M is made so: Ganin et al., "Domain-adversarial training of neural networks", 2016, Journal of Machine
    Learning Research.
    """
    return (scene - ink).abs()


def lean(ink: torch.Tensor, degrees: float) -> torch.Tensor:
    """Turn every image of float32 `[N, H, W]` clockwise about its centre; what comes in from outside is paper (0)."""
    if degrees == 0:
        return ink
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    view = torch.tensor([[cos, sin, 0.0], [-sin, cos, 0.0]]).expand(len(ink), 2, 3)
    grid = F.affine_grid(view, [len(ink), 1, *ink.shape[1:]], align_corners=False)
    return F.grid_sample(ink[:, None], grid, align_corners=False)[:, 0]


def _check(world: str, labels: str, split: str, count: int | None, shift: float) -> None:
    if split == EXAM:
        _check_exam(world)
    worlds = (*WORLDS, cifar.NAME)
    splits = (*SPLITS, EXAM) if split == EXAM else SPLITS
    for what, value, choices in (("world", world, worlds), ("label space", labels, LABELS), ("split", split, splits)):
        if value not in choices:
            hint = " Did you mean split='test'?" if value == "test" else ""
            raise ValueError(f"{value!r} is not a {what}. Expected one of: {', '.join(map(repr, choices))}.{hint}")
    if not 0 <= shift <= 1:
        raise ValueError(f"shift is {shift}, but a number from 0 (this world) to 1 (far away) was expected.")
    most = _most(world, labels, split)
    if count is not None and not 1 <= count <= most:
        raise ValueError(f"{count} images of {world!r} ({split}) were asked for. Expected from 1 to {most:,}.")


def _check_exam(world: str) -> None:
    if not _exam_is_open.get():
        raise ValueError(
            "the exam pool is for checks and grading alone: what nobody has looked at cannot have been tuned to. Use "
            "split='test', and split='train' to choose on."
        )
    if world not in WORLDS or not WORLDS[world].handwritten:
        raise ValueError(f"{world!r} has no exam pool. Expected a handwritten world, or split='test'.")


def _most(world: str, labels: str, split: str) -> int:
    """Return how many images a world has, refusing what it does not have at all."""
    if world == cifar.NAME:
        if labels != "digits":
            raise ValueError(
                f"labels={labels!r} was asked of 'cifar10', but its photographs have their own ten classes. Leave it "
                "out, as in load('cifar10', split='test'), or use a printed world."
            )
        return cifar.COUNT[split]
    if not WORLDS[world].handwritten:
        return 1_000_000
    if labels == "digits":
        return HANDWRITTEN_COUNT[split]
    raise ValueError(f"{world!r} has digits only: nobody wrote {labels}. Use labels='digits', or a printed world.")
