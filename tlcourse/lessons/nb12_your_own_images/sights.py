"""What the photo desk computes: a changed picture, what the network sees of it, and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from PIL import Image, ImageEnhance

from tlcourse.photos.classifier import Answer, Classifier
from tlcourse.photos.read import PhotoError

KEPT_SIGHTS = 60  # of which the last are remembered, so that a control that only changes words asks nobody again


@dataclass(frozen=True)
class Changes:
    """What is done to a picture before it is prepared.

    Attributes:
        turned: degrees, counter-clockwise.
        brightness: percent; 100 leaves it.
        kept: percent of the height and of the width that are kept, about the middle; 100 keeps all.
    """

    turned: int = 0
    brightness: int = 100
    kept: int = 100

    def words(self) -> str:
        """Say what was done, or nothing where nothing was."""
        said = [f"turned by {self.turned} degrees"] if self.turned else []
        said += [f"at {self.brightness} % of its brightness"] if self.brightness != 100 else []
        said += [f"cut to the middle {self.kept} % of its sides"] if self.kept != 100 else []
        return ", ".join(said)


@dataclass(frozen=True, eq=False)
class Sight:
    """A picture at the desk.

    Attributes:
        picture: after the changes, RGB.
        prepared: as the network sees it, float32 `[3, crop, crop]`.
        scores: before the softmax, float32 `[classes]`.
    """

    picture: Image.Image
    prepared: torch.Tensor
    scores: torch.Tensor


def changed(picture: Image.Image, changes: Changes, side: int) -> Image.Image:
    """Turn, light and cut a picture.

    Args:
        picture: RGB, unchanged by this.
        changes: what to do.
        side: a larger picture is first made smaller, to this length of its shorter side, so that a slider answers at
            once; nothing that the network sees is lost.

    Returns:
        The new picture; the very same one where nothing is to be done.
    """
    if changes == Changes():
        return picture
    factor = side / min(picture.size)
    if factor < 1:
        picture = picture.resize([max(1, round(factor * length)) for length in picture.size], Image.Resampling.BILINEAR)
    if changes.turned:
        grey = (127, 127, 127)  # in the corners, where there is no picture
        picture = picture.rotate(changes.turned, Image.Resampling.BICUBIC, fillcolor=grey)
    if changes.kept != 100:
        margins = [round(length * (100 - changes.kept) / 200) for length in picture.size]
        left, top = (min(margin, (length - 1) // 2) for margin, length in zip(margins, picture.size, strict=True))
        picture = picture.crop((left, top, picture.width - left, picture.height - top))
    return ImageEnhance.Brightness(picture).enhance(changes.brightness / 100) if changes.brightness != 100 else picture


def compute_sight(classifier: Classifier, picture: Image.Image, changes: Changes) -> Sight:
    """Change a picture, prepare it, and ask the network.

    Args:
        classifier: whom to ask.
        picture: RGB.
        changes: what to do first; without any, the scores are those of `classifier.classify`.

    Returns:
        Picture, what is seen of it, and scores.

    Raises:
        PhotoError: the picture is too long and narrow to be prepared.
    """
    shown = changed(picture, changes, 2 * classifier.preprocessing.resize)
    try:
        prepared = classifier.prepare(shown)
    except ValueError as error:
        raise PhotoError(str(error)) from error
    device = next(classifier.model.parameters()).device
    with torch.inference_mode():
        scores = classifier.model(prepared[None].to(device))[0].float().cpu()
    return Sight(shown, prepared, scores)


def compute_answers(scores: torch.Tensor, classes: tuple[str, ...], temperature: float, top: int) -> list[Answer]:
    """Return the most probable classes, the highest first.

    Args:
        scores: before the softmax, float `[classes]`.
        classes: names of the classes.
        temperature: by what the scores are divided.
        top: how many to name.

    Returns:
        Names and probabilities.
    """
    shares, places = (scores / temperature).softmax(0).sort(descending=True, stable=True)
    pairs = zip(places[:top].tolist(), shares[:top].tolist(), strict=True)
    return [Answer(classes[place], share) for place, share in pairs]


class Sights:
    """Remembers the last sights of a classifier, by picture and changes."""

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier
        self._kept: dict[tuple[int, Changes], Sight] = {}

    def of(self, number: int, open_picture: Callable[[], Image.Image], changes: Changes) -> Sight:
        """Return a sight, computed or remembered.

        Args:
            number: of the picture.
            open_picture: returns it; called where it is needed.
            changes: what to do first.
        """
        key = (number, changes)
        if key not in self._kept:
            self._kept[key] = compute_sight(self.classifier, open_picture(), changes)
            while len(self._kept) > KEPT_SIGHTS:
                del self._kept[next(iter(self._kept))]
        return self._kept[key]
