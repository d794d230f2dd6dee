"""What augmentations do to a batch of digits: images, labels that no longer hold, and what a network still reads."""

from collections import Counter
from dataclasses import dataclass

import torch
from matplotlib.axes import Axes
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.mixing import soft_labels
from tlcourse.data.normalisation import denormalise, scale
from tlcourse.evaluation.predict import predict
from tlcourse.lessons.nb01_preprocessing.figures import draw_page
from tlcourse.lessons.nb01_preprocessing.label_rules import AUGMENTATIONS, measure_change, shared
from tlcourse.notebook.figures import COLOURS, RIGHT, WRONG, plain
from tlcourse.repro import generator

SHOWN, A_ROW = 18, 6  # images in a picture and in a row
MEASURED = (0.0, 0.25, 0.5, 0.75, 1.0)  # strengths of the curves
READ = COLOURS["fine-tuned"]
HOLDS, FAILS, SHARED = ("✓", RIGHT, 0.0), ("✗", WRONG, 3.0), ("◐", READ, 2.0)  # sign, colour and width of the frame
KEY = "✓ the label holds    ✗ it no longer does    ◐ two labels share the image"


@dataclass(frozen=True)
class Augmented:
    """Digits after an augmentation."""

    name: str  # one of `AUGMENTATIONS`
    images: torch.Tensor  # uint8 [N, 3, 32, 32]
    labels: torch.Tensor  # as they were before, int64 [N]
    targets: torch.Tensor  # what to read now: the label, or of a mixed image the larger part, int64 [N]
    answers: torch.Tensor  # what the reader says now, int64 [N]
    became: tuple[str, ...]  # what became of each digit, in one to three words; empty where the label holds

    @property
    def mixed(self) -> bool:
        """Whether labels were mixed too."""
        return AUGMENTATIONS[self.name].rule is None

    @property
    def holds(self) -> float:
        """The share of labels that hold, in percent."""
        return _percent(torch.tensor([not words for words in self.became]))

    @property
    def read(self) -> float:
        """The share of images of which the reader says what was to be read, in percent."""
        return _percent(self.answers == self.targets)

    def only(self, digit: int | None) -> "Augmented":
        """Return the part whose label was this digit; all of it for None."""
        if digit is None:
            return self
        which = (self.labels == digit).nonzero()[:, 0]
        parts = (part[which] for part in (self.images, self.labels, self.targets, self.answers))
        return Augmented(self.name, *parts, tuple(self.became[i] for i in which.tolist()))


def compute_augmented(digits: ImageSet, reader: nn.Module, name: str, strength: float, draw: int = 0) -> Augmented:
    """Change or mix digits at a strength from 0 to 1, and ask a network that never saw them so what it reads."""
    x, labels, augmentation = scale(digits.images), digits.labels, AUGMENTATIONS[name].at(strength)
    targets, rule = labels, AUGMENTATIONS[name].rule
    if rule is None:
        x, soft = augmentation(x, soft_labels(labels, len(digits.classes)), generator("lab", draw))
        targets, became = soft.argmax(1), [shared(row) for row in soft]
    else:
        x = augmentation(x, generator("lab", draw))
        measured = measure_change(augmentation, draw, denormalise(x)).tolist()
        became = [rule(label, value) for label, value in zip(labels.tolist(), measured, strict=True)]
        if not strength:
            became = [""] * len(labels)  # whatever the image is like, nothing was changed
    answers = predict(reader, [(x, labels)]).argmax(1)
    return Augmented(name, denormalise(x), labels, targets, answers, tuple(became))


def describe_augmented(batch: Augmented, strength: float) -> str:
    """Say in two sentences what the batch shows."""
    lost = Counter(words for words in batch.became if words)
    start = f"{batch.name} ({AUGMENTATIONS[batch.name].amount(strength)})"
    if batch.mixed:
        return (
            f"{start}: {lost.total()} of {len(batch.labels)} images now have a shared label. The reader, who never saw "
            f"mixed images, names the larger part of {batch.read:.0f} %."
        )
    which = f" ({', '.join(f'{number} {words}' for words, number in sorted(lost.items()))})" if lost else ""
    return (
        f"{start}: by the rule of this lab {lost.total()} of {len(batch.labels)} labels no longer hold{which}. The "
        f"reader gives the label to {batch.read:.0f} % of the images."
    )


def draw_augmented(ax: Axes, batch: Augmented) -> None:
    """Draw the first images, each with its label, a sign, what became of it, and what the reader says."""
    captions, frames = [], []
    for target, answer, words in zip(batch.targets[:SHOWN], batch.answers[:SHOWN], batch.became[:SHOWN], strict=True):
        sign, colour, width = HOLDS if not words else SHARED if batch.mixed else FAILS
        said = words if batch.mixed and words else f"{words or 'holds'}\n{target}, read as {answer}"
        captions.append(f"{sign} {said}")
        frames.append((colour, width))
    draw_page(ax, batch.images[:SHOWN], captions, A_ROW, SHOWN, frames)
    ax.set_title(KEY, fontsize=11, y=1.0)


def draw_curves(ax: Axes, batches: list[Augmented], strength: float, batch: Augmented) -> None:
    """Draw over the strength how many labels hold and how many the reader gives; rings mark the present draw."""
    adjustable = AUGMENTATIONS[batch.name]
    said = (
        ("one label is enough", "larger part is read")
        if batch.mixed
        else ("label holds (rule)", "label is read (reader)")
    )
    for share, colour, marker, style, label in zip(
        ("holds", "read"), (RIGHT, READ), "os", ("-", "--"), said, strict=True
    ):
        places = [adjustable.most * at for at in MEASURED]
        percent = [getattr(one, share) for one in batches]
        ax.plot(places, percent, color=colour, marker=marker, linewidth=2, linestyle=style, label=label)
        ring = {"markerfacecolor": "white", "markeredgecolor": colour, "markeredgewidth": 2.5, "clip_on": False}
        ax.plot(adjustable.most * strength, getattr(batch, share), marker, markersize=12, zorder=5, **ring)
    ax.axvline(adjustable.most * strength, color="black", linewidth=1.5, linestyle=":")
    ax.set_xlabel(adjustable.unit)
    ax.set_ylabel("share of the images (%)")
    ax.set_ylim(0, 102)
    ax.set_xticks([adjustable.most * at for at in MEASURED[::2]])
    ax.set_yticks(range(0, 101, 25))
    ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(-0.1, 0.98))
    plain(ax)


def _percent(flags: torch.Tensor) -> float:
    return 100 * flags.float().mean().item() if len(flags) else 0.0
