"""A small network for photographs that learns from a saved classifier: the same answers for a part of the work."""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F

from tlcourse.data.normalisation import convert
from tlcourse.data.transforms import Preprocessing
from tlcourse.models.cost import multiply_adds
from tlcourse.photos.classifier import Classifier
from tlcourse.photos.finetuning import set_statistics
from tlcourse.photos.memory import Pair, PhotoSource, TrainingBatches
from tlcourse.photos.networks import OWN, PhotoNetwork, photo_network
from tlcourse.photos.recipe import RECIPES, PhotoRecipe
from tlcourse.photos.views import RandomView
from tlcourse.repro import generator, pick_device, seeded
from tlcourse.training.checkpoint import History
from tlcourse.training.distil import StudentLoss, ask
from tlcourse.training.loop import fit
from tlcourse.training.recipe import adamw
from tlcourse.transfer.freezing import layerwise_lr

OF_THE_COURSE, OF_IMAGENET = "narrow_resnet", "mobilenet_v3_small"  # students, by whose teacher it is
UNLABELLED = 16  # photographs without labels in an update
EPOCHS = 40  # a student is patient: it sees every photograph often, each time another part of it


class Seen(NamedTuple):
    """What a student's training may look at: photographs as the teacher takes them, validation as the student does."""

    train: PhotoSource
    validation: PhotoSource
    unlabelled: PhotoSource | None = None


def student_name(teacher: str) -> str:
    """Return the name of the network that learns from a teacher of that name, where nobody chose another."""
    return OF_THE_COURSE if teacher in OWN else OF_IMAGENET


def make_student(
    name: str, teacher: Classifier, weights: str | None = None, *, side: int | None = None, seed: int = 0
) -> PhotoNetwork:
    """Make a student for a teacher's classes, of weights as `photo_network` takes them; None: DEFAULT where there are.

    Without `side` it sees as many pixels as its teacher where both are the course's or both ImageNet's. Raises
    ValueError where it does not have fewer multiply-adds than its teacher.
    """
    alike = (name in OWN) == (teacher.card.backbone in OWN)
    crop = teacher.preprocessing.crop
    side = crop if side is None and alike else side
    start = (None if name == OF_THE_COURSE else "DEFAULT") if weights is None else weights
    student = photo_network(name, len(teacher.classes), start, seed=seed, side=side)
    own, work = student.preprocessing.crop, multiply_adds(teacher.model, (3, crop, crop))
    less = multiply_adds(student.model, (3, own, own))
    if less >= work:
        raise ValueError(
            f"{name} at {own} pixels has {less / 1e6:,.1f} million multiply-adds a photograph, and its teacher, "
            f"{teacher.card.backbone} at {crop}, has {work / 1e6:,.1f}. Expected fewer: choose another --student, or a "
            "smaller --side."
        )
    return student


def student_recipe(carried: bool, epochs: int | None = None, mirror: bool = True) -> PhotoRecipe:
    """Return how a student is trained: from random weights at higher rates, with statistics of its own photographs."""
    full = replace(RECIPES["full"], epochs=epochs or EPOCHS, smoothing=0.0, view=RandomView(mirror=mirror))
    if carried:
        return replace(full, name="student's")
    return replace(full, name="student's", lr=full.scratch_lr, layer_decay=1.0, batchnorm="adapt")


class TaughtBatches:
    """Batches for a student: views as it takes them, and two answers for each, people's and the teacher's.

    They are float32 `[B, 3, crop, crop]` and `[B, 2, classes]`. The teacher sees the same view, in its own size. Behind
    the labelled photographs come some without labels, for which people's answer is a row of zeros.
    """

    def __init__(
        self, teacher: Classifier, labelled: TrainingBatches, student: Preprocessing, unlabelled: PhotoSource | None
    ) -> None:
        self.teacher, self.labelled, self.student, self.unlabelled = teacher, labelled, student, unlabelled

    def __len__(self) -> int:
        return len(self.labelled)

    def set_epoch(self, epoch: int) -> None:
        """Choose which epoch the next loop runs through."""
        self.labelled.set_epoch(epoch)

    def __iter__(self) -> Iterator[Pair]:
        """Yield the batches of the current epoch."""
        keys = ("photographs for a student", self.labelled.seed, self.labelled.epoch)
        draws, classes = generator(*keys), len(self.teacher.classes)
        for number, (x, y) in enumerate(self.labelled):
            people = F.one_hot(y, classes).float()
            if self.unlabelled is not None:
                rows = torch.randint(len(self.unlabelled), (UNLABELLED,), generator=draws)
                with seeded(*keys, number):
                    x = torch.cat([x, self._views(rows)])
                people = torch.cat([people, torch.zeros(UNLABELLED, classes)])
            answers = torch.stack([people, ask(self.teacher.model, x).cpu()], 1)
            yield as_seen(x, self.teacher.preprocessing, self.student), answers

    def _views(self, rows: torch.Tensor) -> torch.Tensor:
        """Return random views of photographs without labels as the teacher takes them."""
        squares = [square for square, _ in self.unlabelled.__getitems__(rows.tolist())]
        views = torch.stack([self.labelled.view(square) for square in squares])
        return self.teacher.preprocessing.normalised(views)


def as_seen(x: torch.Tensor, teacher: Preprocessing, student: Preprocessing) -> torch.Tensor:
    """Turn images as a teacher takes them into what a student takes: its size, and its normalisation."""
    if x.shape[-1] != student.crop:
        x = F.interpolate(x, (student.crop, student.crop), mode="bilinear", antialias=True)
    if (teacher.mean, teacher.std) == (student.mean, student.std):
        return x
    return convert(x, teacher.statistics, student.statistics)


def teach(
    student: PhotoNetwork,
    teacher: Classifier,
    seen: Seen,
    recipe: PhotoRecipe,
    *,
    seed: int = 0,
    device: torch.device | str | None = None,
    progress: bool = True,
) -> History:
    """Train a student in place on what its teacher answers and on the labels; the best epoch on validation is kept."""
    model, preprocessing = student
    teacher.model.to(pick_device(device))
    set_statistics(model, recipe.batchnorm)
    labelled = seen.train.for_training(recipe.batch, recipe.view, seed)
    batches = TaughtBatches(teacher, labelled, preprocessing, seen.unlabelled)
    rates = layerwise_lr(model, recipe.lr, recipe.layer_decay)
    updates = max(5, recipe.epochs * len(batches))  # fewer have no update in which the rate rises
    how = {"weight_decay": recipe.weight_decay, "warm": recipe.warm, "fused": False}
    optimizer, schedule = adamw(model, rates, updates, **how)
    return fit(
        model,
        batches,
        epochs=recipe.epochs,
        optimizer=optimizer,
        schedule=schedule,
        loss=LossOfBoth(),
        validation=seen.validation.in_order(),
        patience=recipe.epochs,  # never stops early, but goes back to the best epoch
        device=device,
        progress=progress,
    )


class LossOfBoth(StudentLoss):
    """The student's loss in training, and on validation, where labels are class numbers `[B]`, their cross-entropy."""

    def forward(self, logits: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
        """Return the loss, a scalar."""
        return F.cross_entropy(logits, answers) if answers.ndim == 1 else super().forward(logits, answers)


def carried_over(name: str, weights: str | None) -> bool:
    """Say whether a student begins with weights that were trained."""
    return name != OF_THE_COURSE or weights is not None
