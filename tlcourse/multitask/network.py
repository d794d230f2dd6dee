"""One trunk with a head for each task, called hard parameter sharing.

Source: Caruana, "Multitask learning", 1997, Machine Learning.
"""

from collections.abc import Sequence

import torch
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.predict import predict
from tlcourse.multitask.tasks import Task, answers_to


class MultiTask(nn.Module):
    """A network of the course up to its features, the trunk, and a linear head for each task.

    The trunk's own head stays as it was, and answers nothing. New heads are drawn from PyTorch's global generator: wrap
    the call in `seeded` to choose them.
    """

    def __init__(self, trunk: nn.Module, tasks: Sequence[Task]) -> None:
        super().__init__()
        names = [task.name for task in tasks]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"the tasks are {names}. Expected at least one, each with a name of its own.")
        self.trunk, self.tasks = trunk, tuple(tasks)
        self.heads = nn.ModuleList([nn.Linear(trunk.num_features, task.outputs) for task in tasks])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Turn images, float `[B, 3, H, W]`, into the outputs of all heads side by side, `[B, sum of outputs]`."""
        features = self.trunk.forward_features(x)  # once for all tasks: this is what sharing saves
        return torch.cat([head(features) for head in self.heads], 1)

    def shared(self) -> list[nn.Parameter]:
        """Return the weights of the trunk that are trained, on which the tasks may disagree."""
        stages = self.trunk.stages().values()
        return [parameter for stage in stages for parameter in stage.parameters() if parameter.requires_grad]

    def own(self) -> list[nn.Parameter]:
        """Return the weights of the heads that are trained, each of which has one task alone."""
        return [parameter for parameter in self.heads.parameters() if parameter.requires_grad]

    def errors(self, data: ImageSet) -> dict[str, float]:
        """Return how wrong the answers are, by task; those that are missing count nothing.

        For a class it is the share of wrong answers in percent, for a number the mean absolute error in its own unit.
        """
        outputs, wanted = split(predict(self, data), self.tasks), answers_to(data, self.tasks)
        return {task.name: _error(task, said, y) for task, said, y in zip(self.tasks, outputs, wanted.T, strict=True)}


def split(outputs: torch.Tensor, tasks: Sequence[Task]) -> tuple[torch.Tensor, ...]:
    """Cut outputs `[B, sum of outputs]` into those of each task, `[B, outputs]`."""
    return outputs.split([task.outputs for task in tasks], 1)


def _error(task: Task, said: torch.Tensor, wanted: torch.Tensor) -> float:
    known = ~wanted.isnan()
    if task.classes:
        return 100 * (said.argmax(1) != wanted)[known].double().mean().item()
    return (said[:, 0] * task.spread + task.middle - wanted)[known].abs().mean().item()
