"""Training a student: what a finished network answers is learned from, on images with labels and without."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.normalisation import scale
from tlcourse.evaluation.predict import evaluation_mode
from tlcourse.models.compression.distillation import TEMPERATURE, WEIGHT, check_weight, soft_loss, soften
from tlcourse.repro import generator, pick_device, progress_bar
from tlcourse.training.loop import updates
from tlcourse.training.recipe import CONVERGED, Recipe, adamw
from tlcourse.transfer.heads import get_classifier


class StudentLoss(nn.Module):
    """The soft loss of all images, and the cross-entropy of those that have labels, mixed by `weight`."""

    def __init__(self, temperature: float = TEMPERATURE, weight: float = WEIGHT) -> None:
        super().__init__()
        check_weight(weight)
        self.temperature, self.weight = temperature, weight

    def forward(self, logits: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
        """Return the loss of logits `[B, classes]`; answers `[B, 2, classes]` are people's, then the teacher's.

        Where people have not answered, a row of zeros adds nothing, and is not counted.
        """
        people, teacher = answers.unbind(1)
        hard = F.cross_entropy(logits, people, reduction="sum") / people.sum()
        return self.weight * soft_loss(logits, teacher, self.temperature) + (1 - self.weight) * hard


def distil(
    student: nn.Module,
    teacher: nn.Module,
    few: ImageSet,
    images: torch.Tensor | None = None,
    recipe: Recipe = CONVERGED,
    *,
    temperature: float = TEMPERATURE,
    weight: float = WEIGHT,
    seed: int = 0,
    progress: bool = False,
) -> nn.Module:
    """Train a student in place on what a teacher answers, and return it; the teacher stays as it is.

    `few` has labels, and `images`, uint8 `[N, 3, H, W]`, need none: an update sees the recipe's batch of each. `weight`
    is the teacher's share of the loss, 0 to 1, and the labels have the rest. Raises ValueError where student, teacher
    and labels have other classes or an option is out of range, TypeError for images that carry labels, ArithmeticError
    where the loss breaks.
    """
    options = {"temperature": temperature, "weight": weight, "seed": seed}
    steps = student_updates(student, teacher, few, images, recipe, **options)
    for loss in progress_bar(steps, total=recipe.updates, shown=progress):
        last = loss
    if not torch.isfinite(last):
        raise ArithmeticError(
            f"the loss became {last.item()}, but a finite number was expected. Try a learning rate ten times smaller."
        )
    return student


def student_updates(
    student: nn.Module,
    teacher: nn.Module,
    few: ImageSet,
    images: torch.Tensor | None = None,
    recipe: Recipe = CONVERGED,
    *,
    temperature: float = TEMPERATURE,
    weight: float = WEIGHT,
    seed: int = 0,
) -> Iterator[torch.Tensor]:
    """Do what `distil` does, and yield the loss after every update, for whoever looks on."""
    _check(student, teacher, few, images)
    device = pick_device()
    student.to(device=device, memory_format=torch.channels_last)
    teacher.to(device=device, memory_format=torch.channels_last)
    loss = StudentLoss(temperature, weight)
    optimizer, schedule = adamw(student, recipe.lr, recipe.updates, weight_decay=recipe.weight_decay)
    batches = taught_batches(teacher, few, images, recipe, temperature, seed)
    yield from updates(student, batches, optimizer, loss, schedule=schedule)


def taught_batches(
    teacher: nn.Module,
    few: ImageSet,
    images: torch.Tensor | None,
    recipe: Recipe,
    temperature: float = TEMPERATURE,
    seed: int = 0,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield a batch an update: images float32 `[B, 3, H, W]` and answers `[B, 2, classes]`, people's and the teacher's.

    Labelled images come first; for the others, people's answers are zeros. Student and teacher look at the same
    augmented view, so that what is learned is the teacher's function and not one answer to many pictures.

    Source: Beyer, Zhai, Royer, Markeeva, Anil and Kolesnikov, "Knowledge distillation: A good teacher is patient and
    consistent", 2022, CVPR.
    """
    labelled = few.batches(recipe.batch, steps=recipe.updates, transform=recipe.augment, seed=seed)
    draws = generator("unlabelled batches", seed)
    for x, y in labelled:
        people = F.one_hot(y, len(few.classes)).float()
        if images is not None:
            some = scale(images[torch.randint(len(images), (recipe.batch,), generator=draws)])
            x = torch.cat([x, recipe.augment(some, draws) if recipe.augment else some])
            people = torch.cat([people, torch.zeros(len(some), people.shape[1])])
        yield x, torch.stack([people, ask(teacher, x, temperature).cpu()], 1)


@torch.no_grad()
def ask(teacher: nn.Module, x: torch.Tensor, temperature: float = TEMPERATURE) -> torch.Tensor:
    """Return a teacher's softened probabilities, `[B, classes]`, in evaluation mode: statistics stay as they are."""
    with evaluation_mode(teacher) as device:
        return soften(teacher(x.to(device)).float(), temperature)


def _check(student: nn.Module, teacher: nn.Module, few: ImageSet, images: torch.Tensor | None) -> None:
    outputs = [get_classifier(model).out_features for model in (student, teacher)]
    if outputs != [len(few.classes)] * 2:
        raise ValueError(
            f"the student tells {outputs[0]} classes apart, the teacher {outputs[1]}, the labels {len(few.classes)}. "
            "Expected the same classes, in the same order: reset_classifier(student, classes) gives a student others."
        )
    if images is not None and not isinstance(images, torch.Tensor):
        raise TypeError(
            f"the images without labels are a {type(images).__name__}, but a uint8 tensor [N, 3, H, W] was expected: "
            "the teacher answers for them. Pass .images of a set."
        )
    if images is not None and (images.ndim != 4 or images.dtype != torch.uint8 or not len(images)):
        raise ValueError(
            f"the images without labels are {images.dtype} {list(images.shape)}. Expected uint8 [N, 3, H, W] with at "
            "least one, not yet scaled."
        )
