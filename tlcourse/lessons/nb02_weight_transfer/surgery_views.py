"""What the lab of notebook 02 shows: sentences, the table of all tensors, a bar for every stage, and filters."""

import html
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes

from tlcourse.lessons.nb02_weight_transfer.figures import PARTS, filters_as_images, moved_grid
from tlcourse.lessons.nb02_weight_transfer.surgery import Movement, Operation, Surgery, Training
from tlcourse.notebook.figures import GREY, RIGHT, WRONG
from tlcourse.transfer.surgery import ACTIONS, Step

SIGNS = {"copied": "=", "adapted": "≈", "skipped": "×", "fresh": "+"}
FILLS = {"copied": "#0072B2", "adapted": RIGHT, "skipped": "#E69F00", "fresh": "#CC79A7"}
INKS = {"copied": "white", "adapted": "white", "skipped": "black", "fresh": "black"}
ROWS_SHOWN = ("all", *ACTIONS, "moved", "frozen", "frozen but moved")
FILTERS = 6
COLUMNS = {PARTS[0]: 1.06, PARTS[1]: 1.56}  # where it is written what moved; a bar ends at 1
ONLY_SOURCE = "source only"
CELL = "text-align: left; padding: 1px 4px"


def describe_surgery(operation: Operation, surgery: Surgery) -> str:
    """Say what was carried, and what became of the head."""
    counts = ", ".join(f"{count} {action}" for action, count in surgery.count_actions().items())
    return f"{operation.source} → {operation.target}: {counts}. {_describe_head(operation, surgery)}"


def _describe_head(operation: Operation, surgery: Surgery) -> str:
    """Say what became of the head, and what that means where it can mislead."""
    head = next(step for step in surgery.steps if step.name == f"{surgery.head}.weight")
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


def describe_movement(surgery: Surgery, training: Training, movement: Movement | None) -> str:
    """Say what was frozen, and what the steps moved, inside the frozen stages and elsewhere."""
    frozen = surgery.stages[: training.depth]
    policy = f"BatchNorm {training.batchnorm}" if surgery.batchnorm else "no BatchNorm here"
    which = " and ".join(frozen) if len(frozen) < 3 else f"{frozen[0]} to {frozen[-1]}"
    held = f"Frozen: {which} ({policy})." if frozen else "Nothing is frozen."
    if movement is None:
        return f"{held} Press Run for the {training.steps} steps."
    weights, statistics = movement.count((*surgery.stages, surgery.head))
    said = f"{held} {training.steps} steps moved {weights} weights, {statistics} statistics"
    if not frozen:
        return f"{said}."
    weights, statistics = movement.count(frozen)
    if not weights + statistics:
        return f"{said}; in frozen stages none."
    why = "model.train() woke them" if training.batchnorm == "forgotten" else "they follow the target"
    return f"{said}; in frozen stages {weights} and {statistics}: {why}."


def choose_rows(surgery: Surgery, training: Training, movement: Movement | None, shown: str) -> list[Step]:
    """Return the tensors to list."""
    moved = movement.report.moved if movement else {}

    def wanted(step: Step) -> bool:
        return {"all": True, "moved": step.name in moved, "frozen": _is_frozen(step, surgery, training)}.get(
            shown, step.action == shown
        )

    if shown == "frozen but moved":
        return [s for s in surgery.steps if s.name in moved and _is_frozen(s, surgery, training)]
    return [step for step in surgery.steps if wanted(step)]


def _is_frozen(step: Step, surgery: Surgery, training: Training) -> bool:
    return step.ours is not None and step.name.split(".")[0] in surgery.stages[: training.depth]


def counts_above_table(surgery: Surgery, movement: Movement | None) -> str:
    """Return the counts of all actions with their signs, and how many tensors moved, as HTML."""
    chips = [_chip(action, f"{count} {action}") for action, count in surgery.count_actions().items()]
    ours = sum(step.ours is not None for step in surgery.steps)
    moved = f"▲ {len(movement.report.moved)} of {ours} moved" if movement else "… not run yet"
    return f'<span style="line-height: 28px">{"&emsp;".join([*chips, moved])}</span>'


def surgery_table(
    surgery: Surgery, training: Training, movement: Movement | None, shown: str = "all", height: int = 140
) -> str:
    """Return a table with a row for every tensor: what was done and why, and how far it moved."""
    steps = choose_rows(surgery, training, movement, shown)
    names = ("tensor", "surgery", f"after {training.steps} steps", "shape", "why")
    fixed = f"position: sticky; top: 0; background: var(--jp-layout-color1, white); {CELL}"
    head = "".join(f'<th scope="col" style="{fixed}">{name}</th>' for name in names)
    rows = "".join(_row(step, surgery, training, movement) for step in steps)
    rows = rows or f'<tr><td colspan="{len(names)}" style="{CELL}">No tensor is {shown}.</td></tr>'
    box = f"height: {height}px; overflow: auto; border: 1px solid var(--jp-border-color1, #999)"
    style = "border-collapse: collapse; font-size: 11.5px; line-height: 1.5; width: 100%; white-space: nowrap"
    return (
        f'<div tabindex="0" role="region" aria-label="tensors: {shown}" style="{box}">'
        f'<table style="{style}"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _row(step: Step, surgery: Surgery, training: Training, movement: Movement | None) -> str:
    theirs, ours = ("×".join(map(str, shape or ())) or "1" for shape in (step.theirs, step.ours))
    shape = ours if step.theirs in (None, step.ours) else theirs if step.ours is None else f"{theirs} → {ours}"
    after = _how_far(step, _is_frozen(step, surgery, training), movement)
    texts = (html.escape(step.name), _chip(step.action, step.action), after, shape, html.escape(step.why))
    return f"<tr>{''.join(f'<td style={CELL!r}>{text}</td>' for text in texts)}</tr>"


def _how_far(step: Step, frozen: bool, movement: Movement | None) -> str:
    """Say how far a tensor moved; what is frozen and moved all the same stands out."""
    held = " (frozen)" if frozen else ""
    if step.ours is None:
        return "–"
    if movement is None:
        return f"… not run yet{held}"
    change = movement.report.moved.get(step.name)
    if change is None:
        return f"○ still{held}"
    return f"<b>▲ by {change:.2g} (frozen!)</b>" if frozen else f"▲ by {change:.2g}"


def _chip(action: str, text: str) -> str:
    square = f"border-left: 10px solid {FILLS[action]}; padding-left: 5px"
    return f'<span style="{square}">{SIGNS[action]} {html.escape(text)}</span>'


def draw_stages(ax: Axes, surgery: Surgery, training: Training, movement: Movement | None) -> Axes:
    """Draw a bar for every stage, divided by what was done to its tensors, and write beside it what then moved."""
    parts = [*surgery.stages, surgery.head]
    rows = {p: [s for s in surgery.steps if s.ours is not None and s.name.split(".")[0] == p] for p in parts}
    rows |= {ONLY_SOURCE: [step for step in surgery.steps if step.ours is None]}
    rows = {name: steps for name, steps in rows.items() if steps}
    frozen = surgery.stages[: training.depth]
    grid = moved_grid(movement.report) if movement else {}
    for place, (name, steps) in enumerate(rows.items()):
        _draw_bar(ax, place, steps)
        if name != ONLY_SOURCE:
            for part, column in COLUMNS.items():
                _write_moved(ax, column, place, grid.get((name, part)), movement is not None, name in frozen)
    for text, column in {"what surgery did": 0.0, **COLUMNS}.items():
        ax.text(column, -0.75, text, va="center", fontsize=10, fontweight="bold")
    ax.set_yticks(range(len(rows)), [f"{name} (frozen)" if name in frozen else name for name in rows], fontsize=10)
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


def draw_filter_rows(ax: Axes, surgery: Surgery, before: torch.Tensor, movement: Movement | None, steps: int) -> Axes:
    """Draw some first filters in the source, after surgery, after the steps, and their change; grey is 0."""
    chosen = torch.linspace(0, len(before) - 1, FILTERS).round().long()
    theirs = surgery.source_filters
    rows = {"source": theirs[chosen[chosen < len(theirs)]], "after surgery": before[chosen]}
    if movement:
        change = movement.filters[chosen] - before[chosen]
        largest = change.abs().max().item()
        rows |= {f"{steps} steps later": movement.filters[chosen]}
        rows |= {f"change, scaled\n(up to {largest:.2g})" if largest else "change: none": change}
    else:
        ax.text(FILTERS / 2, 3, "not run yet", ha="center", va="center", fontsize=11, color=GREY)
    for place, weight in enumerate(rows.values()):
        _draw_row(ax, place, weight, joint=place == 3)
    for place, name in enumerate((*rows, *([] if movement else [f"{steps} steps later", "change"]))):
        ax.text(-0.15, place + 0.5, name, ha="right", va="center", fontsize=10)
    ax.text(0, -0.3, f"{FILTERS} of {len(before)} first filters", va="center", fontsize=10, fontweight="bold")
    ax.set_xlim(0, FILTERS)
    ax.set_ylim(4, -0.6)
    ax.set_aspect("equal", anchor="NW")
    ax.set_axis_off()
    return ax


def _draw_row(ax: Axes, place: int, weight: torch.Tensor, joint: bool) -> None:
    """Draw filters in one picture, with white gaps; changes share one scale, so that a still one stays grey."""
    if joint:  # as one tall filter, scaled by the largest change of all
        tall = filters_as_images(weight.permute(1, 0, 2, 3).flatten(1, 2)[None])[0]
        images = tall.unflatten(1, (len(weight), -1)).permute(1, 0, 2, 3)
    else:
        images = filters_as_images(weight)
    cell, gap = 10, 1  # pixels a weight, pixels around a filter
    enlarged = images.repeat_interleave(cell, 2).repeat_interleave(cell, 3).permute(0, 2, 3, 1).numpy()
    framed = np.pad(enlarged, ((0, 0), (gap, gap), (gap, gap), (0, 0)), constant_values=255)
    strip = np.concatenate(list(framed), axis=1)
    ax.imshow(strip, extent=(0, len(images), place + 1, place), interpolation="nearest")
