"""Knobs that promise speed: batch size, threads, memory layout, 16 bits, a compiler; each timed on this machine."""

import time
from collections.abc import Callable, Sequence

import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

from tlcourse.lessons.nb10_efficiency.machine import milliseconds, threads
from tlcourse.lessons.nb10_efficiency.spent import batch_of
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.notebook.results import grid

BATCHES = (10, 50, 200)
PLAIN, LAST, HALF, COMPILED = "as it is", "channels_last", "bfloat16", "torch.compile"
ONE, ALL = "one thread, by the wall", "all threads, by the wall"


def training_step(knob: str = PLAIN, size: int = 50) -> Callable[[], None]:
    """Return an update of the course's network on a batch of so many images, with one knob turned."""
    model, (x, y) = TinyResNet(), batch_of(size)
    if knob == LAST:
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    called: nn.Module | Callable = torch.compile(model) if knob == COMPILED else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=knob == HALF):
            loss = F.cross_entropy(called(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def batch_sizes(repeats: int = 5) -> pd.DataFrame:
    """Time an update by batch size on one core, in milliseconds and in microseconds an image."""
    taken = {size: milliseconds(training_step(size=size), repeats) for size in BATCHES}
    rows = [(size, time, 1000 * time / size) for size, time in taken.items()]
    return pd.DataFrame(rows, columns=("batch", "ms an update", "µs an image"))


def knobs_turned(rounds: int = 3) -> pd.DataFrame:
    """Time an update of 50 images with each knob turned, on one core; and with one and all threads, by the wall.

    `faster` is the time without the knob, divided by that with it. They take turns, so that what else runs on the
    machine disturbs all alike.
    """
    steps = {name: training_step(name) for name in (PLAIN, LAST, HALF)}
    taken: dict[str, float] = dict.fromkeys((*steps, ONE, ALL), float("inf"))
    for _ in range(rounds):
        found = {name: milliseconds(step, 3, warm=1) for name, step in steps.items()}
        with threads(1):
            found[ONE] = milliseconds(steps[PLAIN], 2, warm=0, clock=time.perf_counter)
        found[ALL] = milliseconds(steps[PLAIN], 2, warm=0, clock=time.perf_counter)
        taken = {name: min(taken[name], each) for name, each in found.items()}
    rows = [(name, each, taken[ONE if name == ALL else PLAIN] / each) for name, each in taken.items() if name != ONE]
    return pd.DataFrame(rows, columns=("knob", "ms an update", "faster"))


def compile_trial(size: int, seed: int) -> dict[str, float]:
    """Time the first call of a compiled update, in seconds, and later ones beside the plain ones, on one core."""
    plain = milliseconds(training_step(size=size), 15)
    step = training_step(COMPILED, size)
    started = time.perf_counter()
    step()
    first = time.perf_counter() - started
    return {"first": first, "plain": plain, "compiled": milliseconds(step, 15)}


def compiling(seeds: Sequence[int]) -> pd.DataFrame:
    """Measure what a compiler costs and saves; it needs a C++ compiler on the machine."""
    return grid(compile_trial, size=[50, 250], seed=seeds)
