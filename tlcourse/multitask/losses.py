"""The loss of each task on its own, over the images whose answer is known."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from tlcourse.multitask.network import split
from tlcourse.multitask.tasks import Task


def task_losses(outputs: torch.Tensor, answers: torch.Tensor, tasks: Sequence[Task]) -> torch.Tensor:
    """Return the loss of every task, float `[T]`, from outputs `[B, sum of outputs]` and answers `[B, T]`.

    Cross-entropy for classes, the mean squared error for numbers, in units of the task's spread. The mean is over the
    images whose answer is known; a task without any in this batch has the loss 0, and pulls at nothing. Raises
    ValueError for answers of another shape, and for classes that a task does not have.
    """
    if answers.shape != (len(outputs), len(tasks)):
        raise ValueError(
            f"answers have shape {list(answers.shape)}, but [{len(outputs)}, {len(tasks)}] was expected: an image a "
            "row and a task a column, as answers_to(data, tasks) returns."
        )
    parts = zip(tasks, split(outputs, tasks), answers.T, strict=True)
    return torch.stack([_loss(task, said, wanted) for task, said, wanted in parts])


def _loss(task: Task, said: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    known = ~wanted.isnan()
    if not known.any():
        return 0 * said.sum()
    said, wanted = said[known], wanted[known]
    if not task.classes:
        return F.mse_loss(said[:, 0], (wanted - task.middle) / task.spread)
    if wanted.min() < 0 or wanted.max() >= task.classes:
        raise ValueError(
            f"answers to {task.name!r} go from {wanted.min():g} to {wanted.max():g}. Expected classes from 0 to "
            f"{task.classes - 1}, and nan where nobody knows."
        )
    return F.cross_entropy(said, wanted.long())
