"""Planting defects on purpose, with the truth about where it is, so that a cleaner can be measured."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from PIL import Image

from tlcourse.data.imageset import ImageSet


@dataclass(frozen=True)
class Planted:
    """What is wrong with an image set, and where."""

    exact: Mapping[int, int]  # number of the original, by number of the copy
    near: Mapping[int, int]  # number of the original, by number of the changed copy
    changed: Mapping[int, str]  # how each near copy was changed, one of `CHANGES`, by its number
    blank: Sequence[int]  # numbers of the blank images
    wrong: Mapping[int, int]  # the right label, by number of the image whose label is wrong

    def pairs(self, copies: Mapping[int, int]) -> set[tuple[int, int]]:
        """Return copies within one set as a detector reports them: the later image and the earlier one."""
        return {(max(pair), min(pair)) for pair in copies.items()}


def brighten(image: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    """Raise brightness and lower contrast, as another export of the same photograph might."""
    return (image.float() * 0.75 + 45).round().to(torch.uint8)


def add_noise(image: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    """Add noise of standard deviation 12 to every pixel."""
    noise = 12 * torch.randn(image.shape, generator=draws)
    return (image + noise).round().clamp(0, 255).to(torch.uint8)


def compress(image: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    """Write the image as a JPEG of low quality, and read it again."""
    return decode_files([_encode(image, "JPEG", quality=40)])[0]


def nudge(image: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    """Move the picture by one pixel to the right; the left edge is repeated."""
    return torch.cat([image[:, :, :1], image[:, :, :-1]], 2)


def shove(image: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    """Move the picture by four pixels to the right; the left edge is repeated."""
    return torch.cat([image[:, :, :1].expand(-1, -1, 4), image[:, :, :-4]], 2)


def mirror(image: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    """Swap left and right."""
    return image.flip(2)


CHANGES: dict[str, Callable[[torch.Tensor, torch.Generator], torch.Tensor]] = {
    "brighter": brighten,
    "noisy": add_noise,
    "compressed": compress,
    "moved by 1": nudge,
    "moved by 4": shove,
    "mirrored": mirror,
}


def plant_defects(
    clean: ImageSet, generator: torch.Generator, *, exact: int = 20, near: int = 60, blank: int = 15, wrong: int = 45
) -> tuple[ImageSet, Planted]:
    """Add so many copies and blank images to a set, give so many other images a wrong label, and shuffle everything.

    Changed copies take turns among `CHANGES`, blank images among faint noise, strong noise and gradients. Returns the
    set with defects, and the truth about it.
    """
    needed = exact + near + blank + wrong
    if min(exact, near, blank, wrong) < 0 or needed > len(clean):
        raise ValueError(
            f"defects for {needed} of {len(clean)} images was asked for (exact={exact}, near={near}, blank={blank}, "
            f"wrong={wrong}). Expected numbers from 0 that together are at most {len(clean)}."
        )
    chosen = torch.randperm(len(clean), generator=generator)[:needed].split([exact, near, blank, wrong])
    ways = [list(CHANGES)[i % len(CHANGES)] for i in range(near)]
    labels = clean.labels.clone()
    labels[chosen[3]] = _other_labels(labels[chosen[3]], len(clean.classes), generator)
    extra = [
        clean.images[chosen[0]],
        *(CHANGES[way](clean.images[i], generator)[None] for way, i in zip(ways, chosen[1], strict=True)),
        _blank_images(clean.images[chosen[2]], generator),
    ]
    sources = torch.cat([torch.arange(len(clean)), *chosen[:3]])  # which original each image came from
    dirty = replace(clean, labels=labels).subset(sources)
    dirty = replace(dirty, images=torch.cat([clean.images, *extra]), name=f"{clean.name}, with defects")
    order = torch.randperm(len(dirty), generator=generator)
    place = order.argsort().tolist()  # where each image went
    copies = [place[len(clean) + i] for i in range(exact + near + blank)]
    originals = [place[i] for i in sources[len(clean) :].tolist()]
    pairs = list(zip(copies, originals, strict=True))
    return dirty.subset(order), Planted(
        exact=dict(pairs[:exact]),
        near=dict(pairs[exact : exact + near]),
        changed=dict(zip(copies[exact : exact + near], ways, strict=True)),
        blank=copies[exact + near :],
        wrong={place[i]: int(clean.labels[i]) for i in chosen[3].tolist()},
    )


def plant_across(
    train: ImageSet, test: ImageSet, generator: torch.Generator, *, exact: int = 20, near: int = 60
) -> tuple[ImageSet, Planted]:
    """Put copies of training images, and changed copies, among the test images; returns that set and the truth.

    The truth gives by number of the test image that of the training image.
    """
    if min(exact, near) < 0 or exact + near > len(train):
        raise ValueError(
            f"{exact} + {near} copies of {len(train)} training images were asked for. Expected that many or fewer."
        )
    chosen = torch.randperm(len(train), generator=generator)[: exact + near]
    ways = [list(CHANGES)[i % len(CHANGES)] for i in range(near)]
    changed = [CHANGES[w](train.images[i], generator)[None] for w, i in zip(ways, chosen[exact:], strict=True)]
    dirty = ImageSet(
        torch.cat([test.images, train.images[chosen[:exact]], *changed]),
        torch.cat([test.labels, train.labels[chosen]]),
        test.classes,
        name=f"{test.name}, with copies of training images",
    )
    order = torch.randperm(len(dirty), generator=generator)
    places = order.argsort()[len(test) :].tolist()
    pairs = list(zip(places, chosen.tolist(), strict=True))
    truth = Planted(dict(pairs[:exact]), dict(pairs[exact:]), dict(zip(places[exact:], ways, strict=True)), (), {})
    return dirty.subset(order), truth


def decode_files(contents: Sequence[bytes]) -> torch.Tensor:
    """Read images of one size, whole or damaged as long as they decode, uint8 `[N, 3, H, W]`."""
    images = []
    for data in contents:
        with Image.open(io.BytesIO(data)) as opened:
            pixels = torch.frombuffer(bytearray(opened.convert("RGB").tobytes()), dtype=torch.uint8)
            images.append(pixels.reshape(opened.height, opened.width, 3).permute(2, 0, 1))
    return torch.stack(images)


def _encode(image: torch.Tensor, kind: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).contiguous().cpu().numpy()).save(buffer, kind, **options)
    return buffer.getvalue()


def _blank_images(like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Keep the mean colour of every image; put faint noise, strong noise or a gradient, in turn, for what it shows."""
    colour = like.float().mean((2, 3), keepdim=True)
    ramp = torch.linspace(-45, 45, like.shape[3]).expand(like.shape)  # as under uneven light
    strength = torch.tensor([4.0, 20.0, 2.0]).repeat(len(like))[: len(like), None, None, None]
    noise = strength * torch.randn(like.shape, generator=generator)
    has_ramp = (torch.arange(len(like)) % 3 == 2)[:, None, None, None]
    return (colour + noise + ramp * has_ramp).round().clamp(0, 255).to(torch.uint8)


def _other_labels(labels: torch.Tensor, classes: int, generator: torch.Generator) -> torch.Tensor:
    return (labels + torch.randint(1, classes, labels.shape, generator=generator)) % classes
