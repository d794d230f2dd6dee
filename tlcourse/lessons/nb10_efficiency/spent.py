"""Where time and memory go: each stage forward and backward, counted and timed, and what freezing spares."""

import copy
from collections.abc import Sequence

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

from tlcourse.lessons.nb10_efficiency.machine import milliseconds
from tlcourse.lessons.nb10_efficiency.ways import NAMES, prepared
from tlcourse.models.adapters.lora import merge_lora
from tlcourse.models.cost import layer_costs, stage_costs
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.notebook.results import grid
from tlcourse.repro import seeded
from tlcourse.transfer.freezing import freeze, trainable, training_mode

BATCH = 50


def batch_of(size: int = BATCH) -> tuple[torch.Tensor, torch.Tensor]:
    """Return noise in place of images, float32 `[B, 3, 32, 32]`, and labels: what they show costs no time."""
    with seeded("noise", 0):
        return torch.randn(size, 3, 32, 32), torch.arange(size) % 10


def stages_spent() -> pd.DataFrame:
    """Count and time every stage of the course's network, alone, on a batch of 50 in training mode.

    Columns: million multiply-adds an image forward, thousand weights, Kilobytes an image that its layers write, and
    milliseconds of one core a batch, forward and backward.
    """
    model = TinyResNet()
    x, _ = batch_of()
    rows = []
    for name, cost in stage_costs(model).items():
        part = getattr(model, name)
        x = x.detach().requires_grad_(name != "stem")  # nothing goes further back than to the stem's weights
        forward = milliseconds(lambda part=part, x=x: part(x))
        both = milliseconds(lambda part=part, x=x: part(x).sum().backward())
        counted = (cost.multiply_adds / 1e6, cost.weights / 1e3, cost.activation_bytes / 1e3)
        rows.append((name, *counted, forward, max(0.0, both - forward)))
        with torch.no_grad():
            x = part(x)
            x = x.mean((2, 3)) if name == "block4" else x
    columns = ("stage", "million multiply-adds", "thousand weights", "KB written", "ms forward", "ms backward")
    return pd.DataFrame(rows, columns=columns)


def update(model: nn.Module, x: torch.Tensor, y: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
    """Do one update: forward, backward, step."""
    optimizer.zero_grad()
    F.cross_entropy(model(x), y).backward()
    optimizer.step()


def ms_an_update(model: nn.Module, size: int = BATCH, repeats: int = 5) -> float:
    """Time updates of what is not frozen on one core, without making batches; the fastest of them."""
    x, y = batch_of(size)
    optimizer = torch.optim.AdamW(trainable(training_mode(model)), lr=1e-4, fused=True)
    return milliseconds(lambda: update(model, x, y, optimizer), repeats)


def update_multiply_adds(model: nn.Module) -> int:
    """Count the multiply-adds of one image in an update: forward, and backward as far as it has to go.

    Backward costs a forward for the gradient of what a layer was given, and another for that of its weights. The first
    is needed behind the first layer with something to learn, the second where the weights learn; `B A` of LoRA is part
    of the weights here, and needs it too.
    """
    changed = any(parametrize.is_parametrized(layer) for layer in model.modules())
    plain = merge_lora(copy.deepcopy(model)) if changed else model
    total, reached = 0, False
    for name, cost in layer_costs(plain).items():
        layer = model.get_submodule(name)
        learns = layer.weight.requires_grad  # that of W + B A, too
        total += cost.multiply_adds * (1 + reached + learns)
        reached = reached or any(parameter.requires_grad for parameter in layer.parameters())
    return total


def what_freezing_spares() -> pd.DataFrame:
    """Freeze more and more stages: million multiply-adds an image, and milliseconds of one core an update of 50."""
    rows = []
    for depth in range(len(TinyResNet().stages()) + 1):
        model = TinyResNet()
        names = freeze(model, depth)
        counted = update_multiply_adds(model) / 1e6
        rows.append(("nothing" if not names else f"up to {names[-1]}", counted, ms_an_update(model)))
    return pd.DataFrame(rows, columns=("frozen", "million multiply-adds", "ms an update"))


def cost_trial(way: str, seed: int) -> dict[str, float]:
    """Count an update of a way, and time it on one core, augmentation left out; the seed changes but the moment.

    `answer` is the time in which a batch of 50 is answered, after training.
    """
    model, (x, _) = prepared(way, seed), batch_of()
    taken = ms_an_update(model, repeats=25)
    model.eval()
    with torch.no_grad():
        answer = milliseconds(lambda: model(x), repeats=25)
    return {"multiply_adds": update_multiply_adds(model) / 1e6, "milliseconds": taken, "answer": answer}


def cost(seeds: Sequence[int]) -> pd.DataFrame:
    """Measure what an update costs in every way; best on a machine that does little else."""
    return grid(cost_trial, seed=seeds, way=NAMES)
