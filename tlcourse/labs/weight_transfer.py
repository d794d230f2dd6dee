"""The lab of notebook 02: carry weights into a network that is not quite the same, freeze, and see what moves."""

import functools
import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import ipywidgets as widgets
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from tlcourse.data.augment import scale
from tlcourse.data.domains import load
from tlcourse.experiments.transfer_strategies import take_steps
from tlcourse.finetuning import BatchNormPolicy, freeze, trainable
from tlcourse.labs.lab import Lab
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.models.variants import FOREIGN_NAMES, TinyResNetVariant, foreign_weights
from tlcourse.models.zoo import pretrained
from tlcourse.plots.basics import GREY, RIGHT, WRONG
from tlcourse.plots.weight_transfer import STATISTICS, draw_filters
from tlcourse.repro import seeded
from tlcourse.surgery import ACTIONS, Step, rename, strip_prefix, transplant
from tlcourse.weights import MoveReport, weights_moved

Weights = Mapping[str, torch.Tensor]
FIRST_CONV = "stem.0.weight"
IMAGES = 20  # in the batch of the three steps
STEPS = 3
ACTION_COLOURS = {"copied": "#0072B2", "adapted": RIGHT, "skipped": "#E69F00", "fresh": "#CC79A7"}


@dataclass(frozen=True)
class Pair:
    """A source and a target for surgery.

    Attributes:
        source: returns tensors by name.
        target: returns a fresh network for ten digits.
        skip: beginnings of names to leave behind.
    """

    source: Callable[[], Weights]
    target: Callable[[], nn.Module]
    skip: tuple[str, ...] = ("head.",)


def _letters() -> Weights:
    return pretrained("tiny_resnet", "letters").state_dict()


def _digits() -> Weights:
    return pretrained("tiny_resnet", "digits").state_dict()


def _small_cnn() -> Weights:
    return pretrained("small_cnn", "letters").state_dict()


def _translated() -> Weights:
    return rename(strip_prefix(foreign_weights()), {new: old for old, new in FOREIGN_NAMES["tiny_resnet"].items()})


PAIRS: dict[str, Pair] = {
    "letters → digits: another head": Pair(_letters, TinyResNet),
    "printed digits → digits: the same head": Pair(_digits, TinyResNet, skip=()),
    "letters → twice as wide": Pair(_letters, lambda: TinyResNetVariant(width=2)),
    "letters → grey images": Pair(_letters, lambda: TinyResNetVariant(channels=1)),
    "letters, foreign names, as they are": Pair(foreign_weights, TinyResNet),
    "letters, foreign names, with a key map": Pair(_translated, TinyResNet),
    "SmallCNN → TinyResNet: another architecture": Pair(_small_cnn, TinyResNet, skip=()),
}


@dataclass(frozen=True)
class Surgery:
    """What surgery and three steps of training did.

    Attributes:
        steps: what was done to each tensor.
        report: which tensors the three steps moved.
        frozen: names of the frozen stages.
        filters: of the first convolution, by when: in the source (where it has them), after surgery, after training.
    """

    steps: tuple[Step, ...]
    report: MoveReport
    frozen: tuple[str, ...]
    filters: dict[str, torch.Tensor]


@functools.lru_cache(maxsize=128)
def compute_surgery(pair: str, depth: int, batchnorm: BatchNormPolicy) -> Surgery:
    """Carry weights into a fresh network, freeze its first stages, and take three steps.

    Args:
        pair: one of `PAIRS`.
        depth: how many stages to freeze, 0 to 5.
        batchnorm: what the statistics of frozen stages do, `"keep"` or `"adapt"`.

    Returns:
        What was done, and what moved.

    Raises:
        ValueError: there is no such pair, depth or policy.
    """
    if pair not in PAIRS:
        raise ValueError(f"{pair!r} is not a pair. Expected one of: {', '.join(map(repr, PAIRS))}.")
    theirs = PAIRS[pair].source()
    with seeded("surgery"):
        model = PAIRS[pair].target()
    weights, steps = transplant(theirs, model.state_dict(), skip=PAIRS[pair].skip, first_conv=FIRST_CONV)
    model.load_state_dict(weights)
    filters = {"source": theirs[FIRST_CONV]} if FIRST_CONV in theirs else {}
    filters["after surgery"] = model.stem[0].weight.detach().clone()
    frozen = freeze(model, depth, batchnorm)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = torch.optim.SGD(trainable(model), lr=0.05, momentum=0.9, weight_decay=0.01)
    take_steps(model, *_batch(getattr(model, "channels", 3)), optimizer, STEPS)
    filters[f"{STEPS} steps later"] = model.stem[0].weight.detach().clone()
    return Surgery(tuple(steps), weights_moved(before, model.state_dict()), tuple(frozen), filters)


@functools.cache
def _batch(channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    digits = load("handwritten-photo").few(IMAGES // 10)
    x = scale(digits.images)
    return (x.mean(1, keepdim=True) if channels == 1 else x), digits.labels


def count_actions(surgery: Surgery) -> dict[str, int]:
    """Count the tensors that were copied, adapted, skipped and fresh."""
    return {action: sum(step.action == action for step in surgery.steps) for action in ACTIONS}


def describe_surgery(surgery: Surgery) -> str:
    """Say in a few sentences what was carried, what moved, and whether the frozen part held still."""
    counts = ", ".join(f"{count} {action}" for action, count in count_actions(surgery).items())
    statistics = sum(name.endswith(STATISTICS) for name in surgery.report.moved)
    moved = len(surgery.report.moved)
    sentence = f"Tensors: {counts}. {STEPS} steps moved {moved - statistics} weights and {statistics} statistics. "
    if not surgery.frozen:
        return sentence + "Nothing was frozen."
    inside = [name for name in surgery.report.moved if name.split(".")[0] in surgery.frozen]
    if not inside:
        return f"{sentence}In the frozen stages ({', '.join(surgery.frozen)}), nothing moved."
    weights = sum(not name.endswith(STATISTICS) for name in inside)
    kinds = f"{weights} weights and {len(inside) - weights} statistics moved"
    return f"{sentence}In the frozen stages ({', '.join(surgery.frozen)}), {kinds}."


def surgery_table(surgery: Surgery) -> str:
    """Return every tensor as a row of an HTML table: shapes, what was done and why, and whether it moved."""
    rows = []
    for step in surgery.steps:
        moved = "–" if step.ours is None else "moved" if step.name in surgery.report.moved else "still"
        shapes = ["–" if shape is None else "×".join(map(str, shape)) or "1" for shape in (step.theirs, step.ours)]
        cells = "".join(f"<td>{html.escape(text)}</td>" for text in (step.name, *shapes))
        colour = ACTION_COLOURS[step.action]
        cells += (
            f'<td style="color: {colour}"><b>{step.action}</b></td><td>{html.escape(step.why)}</td><td>{moved}</td>'
        )
        rows.append(f"<tr>{cells}</tr>")
    names = ("tensor", "source shape", "target shape", "surgery", "why", f"{STEPS} steps")
    head = "".join(f"<th>{name}</th>" for name in names)
    title = f"<summary>Every tensor ({len(rows)} rows)</summary>"
    return f"<details>{title}<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></details>"


def draw_surgery(ax: Axes, surgery: Surgery, stages: tuple[str, ...]) -> Axes:
    """Draw for every stage how many of its tensors were copied, adapted, skipped and fresh, and what then moved.

    Args:
        ax: where to draw.
        surgery: what was done.
        stages: the target's stages and its head, from pixels to scores.

    Returns:
        The axes.
    """
    for row, stage in enumerate(stages):
        inside = [step for step in surgery.steps if step.ours is not None and step.name.split(".")[0] == stage]
        left = 0
        for action in ACTIONS:
            count = sum(step.action == action for step in inside)
            ax.barh(row, count, left=left, height=0.62, color=ACTION_COLOURS[action], label=None if row else action)
            left += count
        moved = [step.name for step in inside if step.name in surgery.report.moved]
        statistics = sum(name.endswith(STATISTICS) for name in moved)
        text = f"{len(moved) - statistics} weights, {statistics} statistics moved" if moved else "nothing moved"
        ax.text(left + 0.4, row, text, va="center", fontsize=10, color=WRONG if moved else GREY)
    names = [f"{stage} (frozen)" if stage in surgery.frozen else stage for stage in stages]
    ax.set_yticks(range(len(stages)), names, fontsize=10)
    ax.set_ylim(len(stages) - 0.5, -0.5)
    ax.set_xlim(0, 33)
    ax.set_xticks(range(0, 19, 6))
    ax.set_xlabel("tensors of the target network")
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(ncols=4, frameon=False, loc="lower left", bbox_to_anchor=(-0.02, 1), fontsize=10, handlelength=1)
    return ax


class SurgeryLab(Lab):
    """Controls for the pair, the freeze depth and the policy, with a picture, a sentence and the table of tensors."""

    def __init__(self) -> None:
        wide = {"description_width": "initial"}
        self.pair = widgets.Dropdown(options=list(PAIRS), description="source → target", style=wide)
        self.pair.layout.width = "28em"
        self.depth = widgets.IntSlider(value=5, min=0, max=5, description="frozen stages", style=wide)
        self.batchnorm = widgets.ToggleButtons(
            options=["keep", "adapt"], description="BatchNorm statistics", style=wide
        )
        self.batchnorm.style.button_width = "auto"
        self.table = widgets.HTML()
        super().__init__([self.pair, self.depth, self.batchnorm])
        self.widget.children = (*self.widget.children, self.table)

    def look(self) -> tuple[Figure, str]:
        """Return the picture and the sentence for the controls' values, and fill the table."""
        surgery = compute_surgery(self.pair.value, self.depth.value, self.batchnorm.value)
        self.table.value = surgery_table(surgery)
        figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), width_ratios=(1, 1.1), layout="constrained")
        draw_surgery(left, surgery, ("stem", "block1", "block2", "block3", "block4", "head"))
        draw_filters(right, {name: weight[:8] for name, weight in surgery.filters.items()})
        right.set_title("8 of the first filters")
        return figure, describe_surgery(surgery)


def operate() -> widgets.Widget:
    """Return the lab as one widget.

    Returns:
        The widget, to be shown as the last line of a cell.
    """
    return SurgeryLab().widget
