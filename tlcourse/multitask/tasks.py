"""What is asked of an image besides its class: tasks, their answers side by side, and which of those are missing.

Answers to all tasks are one float tensor `[N, T]`, a column a task: class numbers, or values in their own unit, and nan
where nobody knows. A missing answer is learned nothing from; written as 0, it would be an answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from tlcourse.data.imageset import ImageSet

CLASS = "class"  # the name of the task whose answers are an image set's labels
MISSING = -1  # what stands in an attribute of whole numbers where nobody knows the answer


@dataclass(frozen=True)
class Task:
    """A question: its name, and how many classes its answer is one of; a number is asked for where that is 0.

    Numbers are learned in units of their standard deviation, `(value - middle) / spread`, both those of training data:
    a squared error in degrees would be hundreds of times a cross-entropy, and drown it.
    """

    name: str
    classes: int = 0
    middle: float = 0.0
    spread: float = 1.0

    @property
    def outputs(self) -> int:
        """Count the outputs of the task's head."""
        return self.classes or 1


def answers_to(data: ImageSet, tasks: Sequence[Task | str]) -> torch.Tensor:
    """Return the answers of a set to some tasks, float32 `[N, T]`, nan where one is missing.

    The task `"class"` is answered by the labels, another by the attribute of its name; there, -1 means missing among
    whole numbers and nan among others. ValueError when a set has no such attribute.
    """
    names = [task if isinstance(task, str) else task.name for task in tasks]
    unknown = [name for name in names if name != CLASS and name not in data.attributes]
    if unknown or not names:
        known = ", ".join(map(repr, (CLASS, *data.attributes)))
        raise ValueError(f"{data!r} has no answers to {unknown or 'no task at all'}. Expected some of: {known}.")
    columns = [data.labels if name == CLASS else data.attributes[name] for name in names]
    return torch.stack([_with_nan(column) for column in columns], 1)


def tasks_of(data: ImageSet, names: Sequence[str]) -> list[Task]:
    """Make a task of each name, as the answers of training data suggest.

    Whole numbers are classes from 0 to the highest there is; of other numbers, mean and standard deviation are taken
    where they are known. ValueError for a name without answers, or of which every answer is missing or the same.
    """
    return [_task(data, name, answers_to(data, [name])[:, 0]) for name in names]


def only(answers: torch.Tensor, task: int, known: torch.Tensor) -> torch.Tensor:
    """Return answers `[N, T]` in which those to one task are kept for the images `known` (bool `[N]`) alone."""
    kept = answers.clone()
    kept[~known, task] = torch.nan
    return kept


def in_its_own_unit(task: Task) -> Task:
    """Return the task with numbers learned as they are, in degrees for an angle: a trap that the course shows."""
    return replace(task, middle=0.0, spread=1.0)


def _task(data: ImageSet, name: str, answers: torch.Tensor) -> Task:
    known = answers[~answers.isnan()]
    if len(known) < 2 or known.min() == known.max():
        raise ValueError(
            f"task {name!r} has {len(known)} known answers, with {len(known.unique())} different values. Expected at "
            "least two different ones; nothing could be learned."
        )
    if name == CLASS:
        return Task(name, len(data.classes))
    if not data.attributes[name].is_floating_point():
        return Task(name, int(known.max()) + 1)
    return Task(name, 0, known.mean().item(), known.std().item())


def _with_nan(column: torch.Tensor) -> torch.Tensor:
    if column.is_floating_point():
        return column.float()
    return column.float().masked_fill(column == MISSING, torch.nan)
