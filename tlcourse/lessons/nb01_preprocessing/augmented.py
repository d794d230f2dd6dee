"""What augmentations do to a batch of digits: images, labels that no longer hold, and what a network still reads."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.mixing import soft_labels
from tlcourse.data.normalisation import denormalise, scale
from tlcourse.evaluation.predict import predict
from tlcourse.lessons.nb01_preprocessing.figures import draw_page
from tlcourse.lessons.nb01_preprocessing.label_rules import (
    AUGMENTATIONS,
    FAILS,
    HOLDS,
    MIXING,
    RULES,
    SHARED,
    Verdict,
    check_mixed,
    measure_change,
)
from tlcourse.notebook.figures import COLOURS, RIGHT, WRONG, plain
from tlcourse.repro import generator

SHOWN, A_ROW = 18, 6  # images in a picture and in a row
MEASURED = (0.0, 0.25, 0.5, 0.75, 1.0)  # strengths of the curves
KEY = f"{HOLDS} the label holds    {FAILS} it no longer does    {SHARED} two labels share the image"
READ = COLOURS["fine-tuned"]
MARKS = {HOLDS: (RIGHT, 0.0, "-"), FAILS: (WRONG, 3.0, "-"), SHARED: (READ, 2.0, "--")}  # colour and frame


@dataclass(frozen=True)
class Augmented:
    """Digits after an augmentation."""

    images: torch.Tensor  # uint8 [N, 3, 32, 32]
    labels: torch.Tensor  # as they were before, int64 [N]
    targets: torch.Tensor  # what to read now: the label, or of a mixed image the larger part, int64 [N]
    answers: torch.Tensor  # what the reader says now, int64 [N]
    verdicts: tuple[Verdict, ...]  # whether a person would still give each its label
    larger: torch.Tensor  # share of the larger part in each soft label, float [N]; 1 where nothing was mixed

    @property
    def holds(self) -> torch.Tensor:
        """Whether each label still holds, bool `[N]`."""
        return torch.tensor([verdict.holds for verdict in self.verdicts], dtype=torch.bool)

    @property
    def read(self) -> torch.Tensor:
        """Whether the reader says what was to be read, bool `[N]`."""
        return self.answers == self.targets

    def only(self, digit: int | None) -> "Augmented":
        """Return the part whose label was this digit; all of it for None."""
        if digit is None:
            return self
        which = (self.labels == digit).nonzero()[:, 0]
        parts = (part[which] for part in (self.images, self.labels, self.targets, self.answers))
        return Augmented(*parts, tuple(self.verdicts[i] for i in which.tolist()), self.larger[which])


def compute_augmented(digits: ImageSet, reader: nn.Module, name: str, strength: float, draw: int = 0) -> Augmented:
    """Change or mix digits at a strength from 0 to 1, and ask a network that never saw them so what it reads."""
    x, labels, augmentation = scale(digits.images), digits.labels, AUGMENTATIONS[name].at(strength)
    targets, larger = labels, torch.ones(len(labels))
    if name in MIXING:
        x, soft = augmentation(x, soft_labels(labels, len(digits.classes)), generator("darkroom", draw))
        larger, targets = soft.max(1)
        verdicts = [check_mixed(row) for row in soft]
    else:
        x = augmentation(x, generator("darkroom", draw))
        measured = measure_change(augmentation, draw, denormalise(x)).tolist()
        verdicts = [RULES[name](label, value) for label, value in zip(labels.tolist(), measured, strict=True)]
        if not strength:
            verdicts = [Verdict(HOLDS)] * len(labels)  # whatever the image is like, nothing was changed
    answers = predict(reader, [(x, labels)]).argmax(1)
    return Augmented(denormalise(x), labels, targets, answers, tuple(verdicts), larger)


@dataclass(frozen=True)
class Curves:
    """Shares of a batch over the strength of one augmentation, in percent, at the strengths `MEASURED`."""

    holds: tuple[float, ...]
    read: tuple[float, ...]


def compute_curves(batches: Sequence[Augmented], digit: int | None = None) -> Curves:
    """Count labels that hold and answers that are right, of one digit or of all; one batch for each of `MEASURED`."""
    chosen = [batch.only(digit) for batch in batches]
    return Curves(tuple(_percent(one.holds) for one in chosen), tuple(_percent(one.read) for one in chosen))


def describe_augmented(batch: Augmented, name: str, strength: float) -> str:
    """Say in two sentences what the batch shows."""
    count, lost = len(batch.labels), int((~batch.holds).sum())
    start, read = f"{name} ({AUGMENTATIONS[name].amount(strength)})", f"{_percent(batch.read):.0f} %"
    if name in MIXING:
        mean = 100 * batch.larger.mean().item()
        return (
            f"{start}: {lost} of {count} images now have a shared label; the larger part counts {mean:.0f} % on "
            f"average. The reader, who never saw mixed images, names the larger part of {read}."
        )
    kinds = Counter(verdict.words for verdict in batch.verdicts if not verdict.holds)
    which = f" ({', '.join(f'{number} {words}' for words, number in sorted(kinds.items()))})" if lost else ""
    return (
        f"{start}: by the rule of this lab {lost} of {count} labels no longer hold{which}. The reader gives the label "
        f"to {read} of the images."
    )


def draw_augmented(ax: Axes, batch: Augmented) -> Axes:
    """Draw the first images, each with its label, a sign, what became of it, and what the reader says."""
    rows = zip(batch.targets.tolist(), batch.verdicts, batch.answers.tolist(), strict=True)
    captions = [_caption(*row) for row in rows][:SHOWN]
    marks = [MARKS[verdict.sign] for verdict in batch.verdicts[:SHOWN]]
    draw_page(ax, batch.images[:SHOWN], captions, [colour for colour, _, _ in marks], A_ROW, SHOWN)
    height, width = batch.images.shape[2:]
    for text, (colour, line, style) in zip(ax.texts, marks, strict=False):
        x, y = text.get_position()
        if line:
            frame = Rectangle((x - width / 2 - 0.5, y - height - 0.5), width, height, fill=False, clip_on=False)
            frame.set(edgecolor=colour, linewidth=line, linestyle=style)
            ax.add_patch(frame)
    ax.set_title(KEY, fontsize=11, y=1.0)
    return ax


def _caption(label: int, verdict: Verdict, answer: int) -> str:
    if verdict.sign == SHARED:
        return f"{SHARED} {verdict.words}"
    return f"{verdict.sign} {verdict.words or 'holds'}\n{label}, read as {answer}"


def draw_curves(ax: Axes, curves: Curves, name: str, strength: float, batch: Augmented) -> Axes:
    """Draw over the strength how many labels hold and how many the reader gives; rings mark the present draw."""
    adjustable, mixed = AUGMENTATIONS[name], name in MIXING
    places = [adjustable.most * at for at in MEASURED]
    said = ("one label is enough", "larger part is read") if mixed else ("label holds (rule)", "label is read (reader)")
    ax.plot(places, curves.holds, color=RIGHT, marker="o", linewidth=2, label=said[0])
    ax.plot(places, curves.read, color=READ, marker="s", linewidth=2, linestyle="--", label=said[1])
    here = adjustable.most * strength
    ax.axvline(here, color="black", linewidth=1.5, linestyle=":")
    for share, colour, marker in ((batch.holds, RIGHT, "o"), (batch.read, READ, "s")):
        ring = {"markerfacecolor": "white", "markeredgecolor": colour, "markeredgewidth": 2.5, "clip_on": False}
        ax.plot(here, _percent(share), marker, markersize=12, zorder=5, **ring)
    ax.set_xlabel(adjustable.unit)
    ax.set_ylabel("share of the images (%)")
    ax.set_ylim(0, 102)
    ax.set_xticks([adjustable.most * at for at in MEASURED[::2]])
    ax.set_yticks(range(0, 101, 25))
    ax.legend(frameon=False, loc="lower left", bbox_to_anchor=(-0.1, 0.98))
    return plain(ax)


def _percent(flags: torch.Tensor) -> float:
    return 100 * flags.float().mean().item() if len(flags) else 0.0
