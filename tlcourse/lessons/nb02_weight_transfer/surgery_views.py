"""What the lab of notebook 02 shows: sentences, the table of all tensors, a bar for every stage, and filters."""

from collections.abc import Sequence

import pandas as pd
import torch
from matplotlib.axes import Axes

from tlcourse.lessons.nb02_weight_transfer.figures import PARTS, STATISTICS, filters_as_images, moved_grid
from tlcourse.lessons.nb02_weight_transfer.surgery import STAGES, Movement, Operation, Surgery, Training
from tlcourse.notebook.figures import GREY, RIGHT, WRONG, draw_images
from tlcourse.transfer.surgery import ACTIONS, Step

SIGNS = {"copied": "=", "adapted": "≈", "skipped": "×", "fresh": "+"}
FILLS = {"copied": "#0072B2", "adapted": RIGHT, "skipped": "#E69F00", "fresh": "#CC79A7"}
INKS = {"copied": "white", "adapted": "white", "skipped": "black", "fresh": "black"}
ROWS_SHOWN = ("all", *ACTIONS, "moved", "frozen", "frozen but moved")
FILTERS, PIXEL = 6, 10  # filters shown, and pixels of the picture for each of their weights
COLUMNS = {PARTS[0]: 1.06, PARTS[1]: 1.56}  # where it is written what moved; a bar ends at 1
ONLY_SOURCE = "source only"


def stage_of(name: str) -> str:
    """Return the stage, or the head, that a tensor belongs to."""
    return name.split(".")[0]


def describe_surgery(operation: Operation, surgery: Surgery) -> str:
    """Say what was carried, and what became of the head."""
    counts = ", ".join(f"{count} {action}" for action, count in surgery.count_actions().items())
    return f"{operation.source} → {operation.target}: {counts}. {_describe_head(operation, surgery)}"


def _describe_head(operation: Operation, surgery: Surgery) -> str:
    """Say what became of the head, and what that means where it can mislead."""
    head = next(step for step in surgery.steps if step.name == "head.weight")
    if head.theirs is None:
        return "No name agrees, so nothing was carried."
    if operation.head == "leave behind":
        return "The old head stays behind."
    if head.action == "adapted" and head.theirs[0] != head.ours[0]:
        return f"The old head's {head.theirs[0]} rows now score other classes: it fits in shape, not in meaning."
    return {
        "copied": "The head came along.",
        "adapted": "The head came along, into the corner.",
        "skipped": f"The old head scores {head.theirs[0]} classes and does not fit {head.ours[0]}.",
    }[head.action]


def describe_movement(training: Training, movement: Movement | None) -> str:
    """Say what was frozen, and what the steps moved, inside the frozen stages and elsewhere."""
    frozen = training.frozen
    which = " and ".join(frozen) if len(frozen) < 3 else f"{frozen[0]} to {frozen[-1]}"
    held = f"Frozen: {which} (BatchNorm {training.batchnorm})." if frozen else "Nothing is frozen."
    if movement is None:
        return f"{held} Press Run for the {training.steps} steps."
    weights, statistics = count_moved(movement, (*STAGES, "head"))
    said = f"{held} {training.steps} steps moved {weights} weights, {statistics} statistics"
    if not frozen:
        return f"{said}."
    weights, statistics = count_moved(movement, frozen)
    if not weights + statistics:
        return f"{said}; in frozen stages none."
    why = "model.train() woke them" if training.batchnorm == "forgotten" else "they follow the target"
    return f"{said}; in frozen stages {weights} and {statistics}: {why}."


def count_moved(movement: Movement, parts: Sequence[str]) -> tuple[int, int]:
    """Count the tensors of weights and of statistics that moved within parts of the network."""
    inside = [name for name in movement.report.moved if stage_of(name) in parts]
    statistics = sum(name.endswith(STATISTICS) for name in inside)
    return len(inside) - statistics, statistics


def choose_rows(surgery: Surgery, training: Training, movement: Movement | None, shown: str) -> list[Step]:
    """Return the tensors to list, for one of `ROWS_SHOWN`."""
    moved = movement.report.moved if movement else {}
    chosen = []
    for step in surgery.steps:
        frozen = stage_of(step.name) in training.frozen
        facts = {"all": True, "moved": step.name in moved, "frozen": frozen, step.action: True}
        facts["frozen but moved"] = frozen and step.name in moved
        if facts.get(shown):
            chosen.append(step)
    return chosen


def counts_above_table(surgery: Surgery, movement: Movement | None) -> str:
    """Say how many tensors met with each action, with its sign, and how many moved."""
    counts = [f"{SIGNS[action]} {count} {action}" for action, count in surgery.count_actions().items()]
    ours = sum(step.ours is not None for step in surgery.steps)
    moved = f"▲ {len(movement.report.moved)} of {ours} moved" if movement else "… not run yet"
    return "&emsp;".join([*counts, moved])


def surgery_table(surgery: Surgery, training: Training, movement: Movement | None, shown: str = "all") -> str:
    """Return a table as HTML with a row for every tensor: what was done and why, and how far it moved."""
    steps = choose_rows(surgery, training, movement, shown)
    rows = [
        {
            "tensor": step.name,
            "surgery": f"{SIGNS[step.action]} {step.action}",
            f"after {training.steps} steps": _how_far(step, training, movement),
            "shape": _shapes(step),
            "why": step.why,
        }
        for step in steps
    ]
    table = pd.DataFrame(rows).to_html(index=False, border=0, justify="left") if rows else f"No tensor is {shown}."
    box = "height: 140px; overflow: auto; border: 1px solid var(--jp-border-color1, #999); font-size: 11.5px"
    box += "; white-space: nowrap"
    return f'<div tabindex="0" role="region" aria-label="tensors: {shown}" style="{box}">{table}</div>'


def _shapes(step: Step) -> str:
    theirs, ours = ("×".join(map(str, shape or ())) or "1" for shape in (step.theirs, step.ours))
    if step.theirs in (None, step.ours):
        return ours
    return theirs if step.ours is None else f"{theirs} → {ours}"


def _how_far(step: Step, training: Training, movement: Movement | None) -> str:
    """Say how far a tensor moved; what is frozen and moved all the same stands out."""
    frozen = stage_of(step.name) in training.frozen
    if step.ours is None:
        return "–"
    if movement is None or step.name not in movement.report.moved:
        return ("… not run yet" if movement is None else "○ still") + (" (frozen)" if frozen else "")
    return f"▲ by {movement.report.moved[step.name]:.2g}" + (" (frozen!)" if frozen else "")


def draw_stages(ax: Axes, surgery: Surgery, training: Training, movement: Movement | None) -> Axes:
    """Draw a bar for every stage, divided by what was done to its tensors, and write beside it what then moved."""
    parts = (*STAGES, "head", ONLY_SOURCE)
    rows: dict[str, list[Step]] = {part: [] for part in parts}
    for step in surgery.steps:
        rows[ONLY_SOURCE if step.ours is None else stage_of(step.name)].append(step)
    rows = {name: steps for name, steps in rows.items() if steps}
    grid = moved_grid(movement.report) if movement else {}
    for place, (name, steps) in enumerate(rows.items()):
        _draw_bar(ax, place, steps)
        if name != ONLY_SOURCE:
            for part, column in COLUMNS.items():
                _write_moved(ax, column, place, grid.get((name, part)), movement is not None, name in training.frozen)
    for text, column in {"what surgery did": 0.0, **COLUMNS}.items():
        ax.text(column, -0.75, text, va="center", fontsize=10, fontweight="bold")
    ax.set_yticks(range(len(rows)), [f"{n} (frozen)" if n in training.frozen else n for n in rows], fontsize=10)
    ax.set_ylim(len(rows) - 0.5, -1.1)
    ax.set_xlim(0, 2.05)
    ax.tick_params(length=0)
    ax.set_xticks([])
    ax.spines[:].set_visible(False)
    return ax


def _draw_bar(ax: Axes, place: int, steps: Sequence[Step]) -> None:
    """Draw one bar of length 1; every part of it has a colour, a sign, a number and, with enough room, a word."""
    left = 0.0
    for action in ACTIONS:
        count = sum(step.action == action for step in steps)
        share = count / len(steps)
        if count:
            ax.barh(place, share, left=left, height=0.74, color=FILLS[action], edgecolor="white")
            text = f"{SIGNS[action]} {count}" + (f" {action}" if share > 0.4 else "")
            ax.text(left + share / 2, place, text, ha="center", va="center", fontsize=10, color=INKS[action])
        left += share


def _write_moved(ax: Axes, left: float, place: int, cell: tuple[int, int] | None, trained: bool, frozen: bool) -> None:
    """Write how many tensors of one kind moved; in a frozen stage that is marked."""
    moved, total = cell or (0, 0)
    some = f"▲ {moved} moved" if moved == total else f"▲ {moved} of {total}"
    text = some if moved else "○ still" if total else "– none"
    wrong = moved > 0 and frozen
    style = {"color": WRONG, "fontweight": "bold"} if wrong else {"color": "black" if moved else GREY}
    ax.text(left, place, text if trained else "… not run", va="center", fontsize=10, **style)


def draw_filter_rows(ax: Axes, surgery: Surgery, before: torch.Tensor, movement: Movement | None) -> Axes:
    """Draw some first filters in the source, after surgery and after the steps; grey is 0.

    A wide network's filters are spread over old and new ones, and those that the source lacks stay white there.
    """
    chosen = torch.linspace(0, len(before) - 1, FILTERS).round().long()
    source = torch.full((FILTERS, 3, 3, 3), 255, dtype=torch.uint8)
    there = chosen < len(surgery.source_filters)
    source[there] = filters_as_images(surgery.source_filters[chosen[there]])
    rows = {"source": source, "after surgery": filters_as_images(before[chosen])}
    if movement:
        rows["after the steps"] = filters_as_images(movement.filters[chosen])
    small = torch.cat(list(rows.values()))
    draw_images(ax, small.repeat_interleave(PIXEL, 2).repeat_interleave(PIXEL, 3), columns=FILTERS)
    height = 3 * PIXEL + 2
    for place, name in enumerate(rows):
        ax.text(-4, (place + 0.5) * height, name, ha="right", va="center", fontsize=10)
    ax.text(0, -10, f"{FILTERS} of {len(before)} first filters", va="center", fontsize=10, fontweight="bold")
    return ax
