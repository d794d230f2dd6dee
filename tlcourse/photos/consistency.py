"""FixMatch for photographs: a sure answer on a plain view is learned from a distorted one, beside the labelled ones.

The method is that of `tlcourse.unlabelled`: an averaged teacher answers, and the network learns its sure answers. Two
things are as photographs need them. The labels are smoothed and the networks start from a probe, so no network is
ever 90 % sure; what is sure is measured on the labelled photographs of the same batch, as in AdaMatch. And the
teacher answers in evaluation mode, since the source's statistics of batch normalisation stay.

Sources: Sohn et al., "FixMatch: Simplifying semi-supervised learning with consistency and confidence", 2020, NeurIPS;
Berthelot et al., "AdaMatch: A unified approach to semi-supervised learning and domain adaptation", 2022, ICLR; Cubuk et
al., "RandAugment: Practical automated data augmentation with a reduced search space", 2020, NeurIPS.
"""

from collections.abc import Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.evaluation.predict import Loss
from tlcourse.photos.memory import Pair, PhotoSource, TrainingBatches
from tlcourse.photos.recipe import PhotoRecipe
from tlcourse.photos.views import RandomView
from tlcourse.repro import generator, seeded
from tlcourse.unlabelled.fixmatch import sure_answers
from tlcourse.unlabelled.mean_teacher import Taught

BATCH = 16  # photographs without labels in an update
THRESHOLD = 0.9  # times the mean confidence on the labelled ones, from which on an answer is sure
DECAY = 0.99  # of the teacher, an update
PLAIN = 0.7  # share of a photograph that the teacher sees at least
MOST_UPDATES = 400  # to which a training is lengthened, so that photographs without labels are seen


def lengthened(recipe: PhotoRecipe, labelled: int, unlabelled: int) -> PhotoRecipe:
    """Return a recipe with more epochs, where few labelled photographs would end it before the others were seen.

    As many batches of `BATCH` go by as if the recipe's epochs were those of the photographs without labels, at most
    `MOST_UPDATES`. What learns from the labels alone is to get the same: else the longer training would be compared.
    """
    per_epoch = -(-labelled // recipe.batch)
    wanted = min(recipe.epochs * -(-unlabelled // BATCH), MOST_UPDATES)
    return replace(recipe, epochs=max(recipe.epochs, wanted // per_epoch))


class Consistency:
    """Joins photographs without labels to a training; afterwards it knows how each of them was answered last."""

    def __init__(self, photos: PhotoSource, view: RandomView, seed: int = 0) -> None:
        from torchvision.transforms import v2  # takes a while to import

        crop = photos.preprocessing.crop
        self.photos, self.seed = photos, seed
        self.plain = replace(view, smallest=max(PLAIN, view.smallest), light=0.0).transform(crop)
        self.distorted = v2.Compose([view.transform(crop), v2.RandAugment()])
        self.teacher = Taught(weight=1.0, decay=DECAY)
        self.answers = torch.full((len(photos),), -1)  # the class that was learned last; -1: not sure, or never seen
        self.confidence = torch.zeros(len(photos))

    def batches(self, model: nn.Module, labelled: TrainingBatches) -> "AnsweredBatches":
        """Return batches that hold `BATCH` photographs without labels behind the labelled ones."""
        self.teacher.begin(model)
        self.teacher.teacher.eval()
        return AnsweredBatches(self, model, labelled)

    def loss(self, of_labels: Loss) -> Loss:
        """Return the loss for such batches, the mean of labels and of answers added; on validation, that of labels."""

        def loss(logits: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
            if answers.ndim == 1:
                return of_labels(logits, answers)
            known = of_labels(logits[:-BATCH], answers[:-BATCH].argmax(1))
            return known + self.teacher.weight * self.teacher.difference(logits[-BATCH:], answers[-BATCH:])

        return loss

    def views(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a plain and a distorted view of some photographs, both float32 `[B, 3, crop, crop]`."""
        squares = [square for square, _ in self.photos.__getitems__(rows.tolist())]
        both = (torch.stack([view(square) for square in squares]) for view in (self.plain, self.distorted))
        return tuple(map(self.photos.preprocessing.normalised, both))

    def answer(self, rows: torch.Tensor, plain: torch.Tensor, labelled: torch.Tensor) -> torch.Tensor:
        """Return the teacher's sure classes for plain views with probability 1, else rows of zeros, `[B, classes]`."""
        chances = self.teacher.answer(plain).cpu()
        sure = THRESHOLD * self.teacher.answer(labelled).max(1).values.mean().item()
        answers = sure_answers(chances, sure)
        self.confidence[rows] = chances.max(1).values
        self.answers[rows] = torch.where(answers.sum(1) > 0, answers.argmax(1), -1)
        return answers


class AnsweredBatches:
    """Labelled batches, each with `BATCH` photographs behind it that the teacher answers for when it is asked for.

    They are float32 `[B + BATCH, 3, crop, crop]`, and a probability a class, float32 `[B + BATCH, classes]`.
    """

    def __init__(self, consistency: Consistency, model: nn.Module, labelled: TrainingBatches) -> None:
        self.consistency, self.model, self.labelled = consistency, model, labelled

    def __len__(self) -> int:
        return len(self.labelled)

    def set_epoch(self, epoch: int) -> None:
        """Choose which epoch the next loop runs through."""
        self.labelled.set_epoch(epoch)

    def __iter__(self) -> Iterator[Pair]:
        """Yield the batches of the current epoch, and move the teacher after the update that each led to."""
        joined, classes = self.consistency, len(self.labelled.source.classes)
        keys = ("views without labels", joined.seed, self.labelled.epoch)
        draws = generator(*keys)
        for number, (x, y) in enumerate(self.labelled):
            rows = torch.randint(len(joined.photos), (BATCH,), generator=draws)
            with seeded(*keys, number):
                plain, distorted = joined.views(rows)
            answers = torch.cat([F.one_hot(y, classes).float(), joined.answer(rows, plain, x)])
            yield torch.cat([x, distorted]), answers
            joined.teacher.after_update(self.model, 1.0)
