"""Two tasks and a trunk of two weights: which way each rule goes, as a picture."""

import math

import torch
from matplotlib.axes import Axes

from tlcourse.multitask.mgda import mgda
from tlcourse.multitask.pcgrad import pcgrad
from tlcourse.multitask.upgrad import upgrad
from tlcourse.notebook.figures import PALETTE, plain

BLUE, ORANGE, GREEN, PINK, YELLOW, SKY = PALETTE
ONE, TWO = "task 1", "task 2"
SUM, PCGRAD, MGDA, UPGRAD = "sum", "PCGrad", "MGDA", "UPGrad"
STYLES = {
    ONE: {"color": "#444444", "linestyle": "-"},
    TWO: {"color": "#999999", "linestyle": "-"},
    SUM: {"color": BLUE, "linestyle": "-"},
    PCGRAD: {"color": ORANGE, "linestyle": "--"},
    MGDA: {"color": GREEN, "linestyle": "-."},
    UPGRAD: {"color": PINK, "linestyle": ":"},
}
RULES = {PCGRAD: pcgrad, MGDA: mgda, UPGRAD: upgrad}


def two_gradients(angle: float, length: float = 1.0) -> torch.Tensor:
    """Return two gradients, float64 `[2, 2]`: the first of length 1, the second turned by `angle` degrees from it."""
    turn = math.radians(angle)
    return torch.tensor([[1.0, 0.0], [length * math.cos(turn), length * math.sin(turn)]], dtype=torch.float64)


def directions(rows: torch.Tensor, weights: tuple[float, float] = (1.0, 1.0)) -> dict[str, torch.Tensor]:
    """Return where the sum, with its weights, and each rule would go, `[2]` each; the rules know of no weights."""
    products = rows @ rows.T
    found = {SUM: torch.tensor(weights, dtype=rows.dtype) @ rows}
    return found | {name: rule(products) @ rows for name, rule in RULES.items()}


def gains(rows: torch.Tensor, direction: torch.Tensor) -> list[float]:
    """Return how fast the loss of each task falls along a direction, for steps of length 1; below 0 it rises."""
    length = direction.norm()
    return (rows @ (direction / length if length > 1e-9 else 0 * direction)).tolist()


def draw_arrows(ax: Axes, rows: torch.Tensor, found: dict[str, torch.Tensor]) -> Axes:
    """Draw both gradients, and every direction from the same point."""
    arrows = {ONE: rows[0], TWO: rows[1], **found}
    reach = 1.15 * max(1.0, *(arrow.abs().max().item() for arrow in arrows.values()))
    for name, (x, y) in ((name, arrow.tolist()) for name, arrow in arrows.items()):
        style, wide = STYLES[name], 3.5 if name in (ONE, TWO) else 2
        ax.annotate("", (x, y), (0, 0), arrowprops={"arrowstyle": "-|>", "linewidth": wide, **style, "shrinkB": 0})
        ax.plot([], [], label=name, linewidth=wide, **style)
    ax.set(xlim=(-reach, reach), ylim=(-0.35 * reach, 1.2 * reach), aspect="equal")
    ax.set(xlabel="first weight of the trunk", ylabel="second weight")
    ax.legend(frameon=False, fontsize=9, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return plain(ax)


def draw_gains(ax: Axes, rows: torch.Tensor, found: dict[str, torch.Tensor]) -> Axes:
    """Draw how fast the loss of each task falls along every direction."""
    for place, (name, direction) in enumerate(found.items()):
        for task, (gain, hatch) in enumerate(zip(gains(rows, direction), (None, "///"), strict=True)):
            ax.barh(
                place + 0.2 * (2 * task - 1), gain, 0.36, color=STYLES[name]["color"], hatch=hatch, edgecolor="white"
            )
    ax.axvline(0, color="black", linewidth=1)
    ax.set_yticks(range(len(found)), found)
    ax.set(ylim=(len(found) - 0.5, -0.5), xlabel="fall of the loss, a step of length 1 (below 0: it rises)")
    ax.bar([0], [0], color="#777777", label=ONE)
    ax.bar([0], [0], color="#777777", hatch="///", edgecolor="white", label=TWO)
    ax.legend(frameon=False, fontsize=9, ncols=2, loc="lower center", bbox_to_anchor=(0.4, 0.99))
    plain(ax).grid(axis="x", color="#E5E5E5")
    return ax


def in_words(rows: torch.Tensor, found: dict[str, torch.Tensor]) -> str:
    """Say what each direction does for the two tasks."""
    parts = []
    for name, direction in found.items():
        first, second = gains(rows, direction)
        parts.append(f"{name} {first + 0.0:.2f} and {second + 0.0:.2f}")
    return f"Fall of the losses of task 1 and 2, a step of length 1: {'; '.join(parts)}."
