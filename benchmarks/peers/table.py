"""What the rounds say: seconds, and how many times as long as the course everybody takes, with intervals; as a page."""

import importlib.metadata
import platform
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.peers.workloads import COURSE, EVALUATE_EVERY, TO, WORKLOADS
from tlcourse.evaluation.intervals import Interval, t_interval

PACKAGES = ("tlcourse", "torch", "torchvision", "fastai", "lightning", "timm", "scikit-learn", "numpy", "pillow")
HEADER = (
    *("work", "contestant", "seconds", "times as long as the course", "images a second", "processor, s", "memory, MiB"),
    *("cold start to end, s", "accuracy, %"),
)


def estimate(values: Iterable[float]) -> Interval:
    """Return the mean of one number a round and its t interval, which is unknown where there is one round only."""
    sample = [value for value in values if np.isfinite(value)]
    if len(sample) < 2:
        return Interval(sample[0] if sample else np.nan, np.nan, np.nan)
    return t_interval(sample)


def ratio(seconds: Iterable[float], course: Iterable[float]) -> Interval:
    """Estimate how many times as long something takes, from pairs of the same rounds.

    Ratios multiply, so mean and t interval are those of their logarithms: a contestant that takes twice as long in one
    round and half as long in the next takes as long.
    """
    logs = estimate(np.log(np.asarray(list(seconds)) / np.asarray(list(course))))
    return Interval(*np.exp([logs.mean, logs.low, logs.high]))


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a line for every workload and contestant: medians over rounds, and intervals of ratio and accuracy.

    `rows` has a line for every round, as `measure` writes them. A ratio needs the course in the same round.
    """
    rows = rows.copy()
    rows["seconds"] = [_compared(row) for row in rows.to_dict("records")]
    lines = []
    for workload in [name for name in WORKLOADS if name in set(rows["workload"])]:
        mine = rows[rows["workload"] == workload]
        course = mine[mine["contestant"] == COURSE].set_index("seed")["seconds"]
        for contestant in WORKLOADS[workload].contestants:
            of = mine[mine["contestant"] == contestant].set_index("seed")
            if not of.empty:
                lines.append({"workload": workload, "contestant": contestant} | _line(of, course, workload))
    return pd.DataFrame(lines)


def _compared(row: dict[str, object]) -> float:
    return row["whole" if WORKLOADS[row["workload"]].compared == TO else "work"]


def _line(of: pd.DataFrame, course: pd.Series, workload: str) -> dict[str, float]:
    both = of.index.intersection(course.index)
    times = ratio(of["seconds"][both], course[both])
    right = estimate(of["accuracy"])
    medians = of[["seconds", "processor", "memory", "whole", "to_target"]].median().to_dict()
    return medians | {
        "rounds": len(of),
        "images_a_second": WORKLOADS[workload].images / medians["seconds"],
        **{f"ratio_{end}": getattr(times, end) for end in ("mean", "low", "high")},
        **{f"accuracy_{end}": getattr(right, end) for end in ("mean", "low", "high")},
    }


def page(rows: pd.DataFrame, words: str, floor: pd.DataFrame | None = None, growth: pd.DataFrame | None = None) -> str:
    """Return the whole result as Markdown; `words` say what the picture beside it shows."""
    found = summary(rows)
    notes = "\n".join(f"* {WORKLOADS[name].title}: {explained(name)}" for name in found["workload"].unique())
    parts = ["# The course beside what a learner would pick instead", f"![{words}](speed.png)"]
    parts += [*conditions(rows), markdown(found), notes, *targets(found)]
    if floor is not None:
        parts += ["## How near to the floor", *floor_in_words(), markdown_of(floor)]
    if growth is not None:
        parts += ["## How cost grows", *growth_in_words(), markdown_of(growth)]
    return "\n\n".join(parts) + "\n"


def conditions(rows: pd.DataFrame) -> list[str]:
    """Say where, when and with what it was measured."""
    versions = ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    rounds, devices = rows.groupby("workload")["seed"].nunique(), ", ".join(map(device_name, rows["device"].unique()))
    return [
        f"Measured on {date.today()} on {processor()}, {devices}, with Python {platform.python_version()}, {versions}.",
        f"{_span(rounds)} rounds, each with a seed of its own; contestants take turns, each in a process of its own. "
        "Seconds, processor, memory and cold start to end (the whole process, imports included) are medians; brackets "
        "hold 95 % t intervals over rounds. Memory is that of the largest process. Initial weights, images, updates, "
        "batch, optimiser and schedule are the same within a work. The augmentation is of the same strength, but for "
        "two things: only the course bends images, and the expert's transforms move all images of a batch alike.",
    ]


def _span(counts: pd.Series) -> str:
    low, high = counts.min(), counts.max()
    return str(low) if low == high else f"{low} to {high}"


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def processor() -> str:
    """Return the processor's name, and how many of its cores this process may use."""
    import os

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{cores} cores of {names[0] if names else platform.processor() or platform.machine()}"


def device_name(device: str) -> str:
    """Return a device's name, for a GPU with that of the card."""
    import torch

    return f"device {device}" + (f" ({torch.cuda.get_device_name()})" if device == "cuda" else "")


def explained(workload: str) -> str:
    """Say what was done, where the title does not, and which seconds are compared."""
    settings = WORKLOADS[workload]
    how = f"{settings.updates} updates of {settings.batch} images of 32x32, AdamW, one cycle up to {settings.lr:g}; "
    trained = settings.does in ("train", "sweep")
    seconds = "of the whole process" if settings.compared == TO else "of work, without imports and reading"
    return f"{how if trained else ''}{settings.note}{'; ' if settings.note else ''}seconds {seconds}."


def markdown(found: pd.DataFrame) -> str:
    """Write lines of `summary` as a table; the name of a work stands in its first line alone."""
    rows, before = [], None
    for line in found.to_dict("records"):
        title = "" if line["workload"] == before else WORKLOADS[line["workload"]].title
        before = line["workload"]
        times = _interval(line, "ratio", 2) if line["contestant"] != COURSE else "1"
        speed, right = f"{line['images_a_second']:,.0f}", _interval(line, "accuracy", 1)
        cells = [f"{line['seconds']:.2f}", times, speed, f"{line['processor']:.1f}", f"{line['memory']:,.0f}"]
        rows.append([title, line["contestant"], *cells, f"{line['whole']:.1f}", right])
    return table(HEADER, rows)


def targets(found: pd.DataFrame) -> list[str]:
    """Say when contestants first got the target of a workload right, in median; asked after every so many updates."""
    said = []
    for workload in found["workload"].unique():
        target, times = WORKLOADS[workload].target, []
        for line in found[found["workload"] == workload].to_dict("records"):
            reached = line["to_target"] == line["to_target"]
            times.append(
                f"{line['contestant']} {line['to_target']:.2f} s" if reached else f"{line['contestant']} never"
            )
        if target is not None:
            said.append(f"* {WORKLOADS[workload].title}, to {target:g} %: {'; '.join(times)}.")
    if not said:
        return []
    return [f"Time to a target on held-out images, asked every {EVALUATE_EVERY} updates:", "\n".join(said)]


def _interval(line: dict[str, float], name: str, digits: int) -> str:
    mean, low, high = (line[f"{name}_{end}"] for end in ("mean", "low", "high"))
    if mean != mean:
        return "–"
    return f"{mean:.{digits}f}" + (f" [{low:.{digits}f}, {high:.{digits}f}]" if low == low else "")


def floor_in_words() -> list[str]:
    return [
        "The least that the course's work could take here, on all threads: its multiply-adds at the rate of a product "
        "of matrices or a large convolution, or the bytes that its layers read and write at the rate of a copy, "
        "whichever takes longer. Decoding, augmentation and the optimiser are in no floor; a profile says where the "
        "time goes. It sees the main thread alone, not those that read photographs and ask the network about them.",
    ]


def growth_in_words() -> list[str]:
    return [
        "One run each. A probe reads photographs when it needs them, and keeps the features, 5 kB a photograph, and of "
        "four fifths of them a copy while it looks for the head.",
    ]


def markdown_of(frame: pd.DataFrame) -> str:
    """Write a frame as it is."""
    return table(list(frame), [[_cell(value) for value in row] for row in frame.itertuples(index=False)])


def _cell(value: object) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:.3g}"


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(header), ["---"] * len(list(header)), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
