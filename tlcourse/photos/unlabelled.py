"""What photographs without labels are worth: the same labelled photographs, answered without them and with them.

They can harm: a head that is often wrong learns its mistakes, and photographs of other things are taken for some class.
So what learned from them is kept only where, on labelled photographs that it did not learn from, its loss is lower and
no fewer are right; else the classifier that saw none of them.

How often the rule is right was measured with pseudo-labels on MobileNetV2 features at 128 pixels, 4 and 8 labelled
photographs a class, three seeds. Beside groceries, others of the same kind changed the accuracy on test photographs by
-0.8 to 1.2 points, hands in their place by -11.6 to -1.2. Beside hands signing digits, where the probe is right on 56
to 73 %, others of the same kind cost 2 to 9 points, since it learned its own mistakes, and groceries up to 2.5. Of
these 24 the rule kept three (1.2, 0.0 and -0.8 points). That no fewer be right would alone have kept five that lost
over a point, a lower loss alone one that lost 6.

With consistency, by 20 validation photographs, it chooses by luck. Beside 8 labelled hands a class (96 pixels, equal
updates), in six divisions of the photographs, it kept four, and its choice changed the accuracy on 100 test photographs
by -5.3 (one division, mean of three seeds), 0, 4, 0, 3 and -2 points: open. In the first division alone harm looked
certain, as its three seeds share the photographs. Beside 4 labelled groceries a class (one division, three seeds) it
changed 0, 2 and 0 points.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from tlcourse.evaluation.intervals import Interval, paired_difference, wilson_interval
from tlcourse.photos.finetuning import own_loss
from tlcourse.photos.photoset import PhotoSet, in_order_of_content
from tlcourse.photos.read import printable
from tlcourse.photos.splits import without_copies_of


@dataclass(frozen=True)
class Unlabelled:
    """Photographs without labels, and which were given but are among the labelled ones."""

    photos: PhotoSet  # in an order that does not depend on names
    left_out: tuple[Path, ...]


@dataclass(frozen=True)
class Worth:
    """Two classifiers on the same labelled photographs, from which neither learned; and what one of them learned from.

    Logits are `[N, classes]`, those `beside` of the one that learned from photographs without labels too.
    """

    used: Unlabelled
    classes: tuple[str, ...]
    way: str  # how it learned from them
    measured: str  # on which labelled photographs
    labels: torch.Tensor  # int64 [N]
    without: torch.Tensor
    beside: torch.Tensor
    learned: torch.Tensor  # the class that was learned for each photograph without labels, int64 [M]; -1: none
    confidence: torch.Tensor  # of these answers, from 0 to 1, [M]

    @property
    def kept(self) -> bool:
        """Whether what learned from them is kept: its loss is lower, and no fewer are right."""
        before, now = self._hits(self.without), self._hits(self.beside)
        return self.losses[1] < self.losses[0] and bool(now.sum() >= before.sum())

    @property
    def losses(self) -> tuple[float, float]:
        """Mean cross-entropy without and with them in nats, each at the temperature that suits it best."""
        return own_loss(self.without, self.labels), own_loss(self.beside, self.labels)

    @property
    def accuracies(self) -> tuple[Interval, Interval]:
        """Share of right answers without and with them in percent, with the 95 % intervals of Wilson."""
        hits = (int(self._hits(logits).sum()) for logits in (self.without, self.beside))
        return tuple(wilson_interval(count, len(self.labels)) for count in hits)

    @property
    def difference(self) -> Interval:
        """How many points more are right with them, photograph by photograph, with the t interval."""
        pairs = (100 * self._hits(logits).double() for logits in (self.beside, self.without))
        return paired_difference(*(hits.tolist() for hits in pairs))

    def counts(self) -> dict[str, int]:
        """Return for how many of them each class was learned."""
        taken = self.learned[self.learned >= 0]
        return dict(zip(self.classes, torch.bincount(taken, minlength=len(self.classes)).tolist(), strict=True))

    def in_lines(self) -> list[str]:
        """Say what they were worth, what is kept, and what that rests on; the verdict comes first."""
        return [self._verdict(), self._compared(), self._chosen(), self._taken()]

    def in_words(self) -> dict[str, str]:
        """Say for a model card what became of them."""
        of = f"{len(self.used.photos):,} photographs, by {self.way}"
        name = "learned from without labels" if self.kept else "tried and dropped, without labels"
        return {name: f"{of}. {self._compared()}"}

    def _verdict(self) -> str:
        if self.kept:
            sure = "" if self.difference.low > 0 else " That they help is open, as the interval shows."
            return f"Kept: the classifier that also learned from photographs without labels.{sure}"
        why = "with them, fewer are right" if self.difference.mean < 0 else "with them, the loss is no lower"
        if self.difference.mean < 0 and self.losses[1] >= self.losses[0]:
            why += " and the loss is no lower"
        return f"Fell back to the classifier that did not learn from the photographs without labels: {why}."

    def _compared(self) -> str:
        before, now = self.accuracies
        return (
            f"On {self.measured}, {before} % are right without them and {now} % with them, a difference of "
            f"{self.difference} points; the loss is {self.losses[0]:.3f} without and {self.losses[1]:.3f} with them."
        )

    def _chosen(self) -> str:
        return (
            "These photographs made the choice, so what they say of the one that was kept is a little too good. The "
            "test photographs had no part in it, and are answered by the one that was kept alone."
        )

    def _taken(self) -> str:
        counts = self.counts()
        named = ", ".join(f"{printable(name)} {count}" for name, count in list(counts.items())[:20])
        more = f" and {len(counts) - 20} more classes" if len(counts) > 20 else ""
        return f"Of {len(self.learned):,} photographs, {sum(counts.values()):,} were learned from: {named}{more}."

    def _hits(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.argmax(1) == self.labels


def apart_from(photos: PhotoSet, labelled: Sequence[PhotoSet]) -> Unlabelled:
    """Leave out photographs that are, or look like, labelled ones: of the test, it would else not be one.

    Raises ValueError where none is left.
    """
    given, left_out = len(photos), ()
    for others in labelled:
        if len(photos):
            photos, found, _ = without_copies_of(photos, others)
            left_out += found
    if not len(photos):
        raise ValueError(
            f"of {given:,} usable photographs without labels, {len(left_out):,} are, or look like, labelled ones. "
            "Expected at least one other, and better many. Give another folder, or leave --unlabelled out."
        )
    return Unlabelled(in_order_of_content(photos), left_out)
