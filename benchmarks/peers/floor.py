"""The least that the course's work could take on this machine, how near it comes, and what the rest is.

Multiply-adds are divided by the measured rate of products of matrices, bytes by the measured rate of a copy. Decoding
photographs, augmentation and optimiser are in no floor: a profile says what they take.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from benchmarks.peers import clock, course
from benchmarks.peers.workloads import FLOOR, GROCERIES, WORKLOADS, Job, real_data
from tlcourse.cli import main as command
from tlcourse.models.cost import Cost, layer_costs
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.photos.networks import photo_network

SIDE, BYTES = 2_048, 2**27  # of the matrices; of a copy, more than caches hold
TRAINED = ("few", "scratch")
# Multiply-adds: forward, gradients of what came in, gradients of the weights. Bytes: what a layer writes is read by the
# next; on the way back it is read again, and its gradient is written and read.
TRAINING, ANSWERING = (3, 5), (1, 2)
SHOWN = 4  # kinds of operations


def main(device: str) -> None:
    """Measure all floors, and write them."""
    clock.EVALUATE_EVERY = sys.maxsize  # nothing but the work
    rates = peaks(device)
    rows = [small_row(name, device, rates) for name in (*TRAINED, "answers")]
    if real_data() is not None:
        rows.append(probe_row(device, rates))
    pd.DataFrame(rows).to_csv(FLOOR, index=False)


def peaks(device: str) -> tuple[float, float]:
    """Measure what all threads do at most: multiply-adds, and bytes read or written, a second.

    The most is that of the better of a product of matrices and a large convolution.
    """
    a, b = torch.randn(2, SIDE, SIDE, device=device)
    conv = nn.Conv2d(128, 128, 3, padding=1, bias=False, device=device).requires_grad_(False)
    x = torch.randn(32, 128, 32, 32, device=device)
    source = torch.ones(BYTES // 4, device=device)
    target = torch.empty_like(source)
    product = SIDE**3 / fastest(lambda: a @ b, device)
    convolved = x.numel() * conv.weight[0].numel() / fastest(lambda: conv(x), device)
    return max(product, convolved), 2 * BYTES / fastest(lambda: target.copy_(source), device)


def fastest(work: Callable[[], object], device: str, repeats: int = 7) -> float:
    """Return the seconds of the fastest of some calls: the least disturbed one."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    return min(times)


def small_row(workload: str, device: str, rates: tuple[float, float]) -> dict[str, Any]:
    """Measure a workload on 32x32 images."""
    settings = WORKLOADS[workload]
    work = getattr(course, settings.does)
    job = Job(workload, "course", 0, device)
    work(job)  # what is loaded and compiled once
    seconds = work(job)["work"]
    with profiled(device) as events:
        wall = work(job)["work"]
    once = sum(layer_costs(TinyResNet(settings.classes)).values(), Cost(0, 0, 0))
    factors = TRAINING if workload in TRAINED else ANSWERING
    return row(settings.title, seconds, settings.images, once, factors, rates, said(events, wall))


def probe_row(device: str, rates: tuple[float, float]) -> dict[str, Any]:
    """Measure the command that trains a probe, imports left out."""
    model, _ = photo_network("mobilenet_v2", 10, None)
    once = sum(layer_costs(model, (3, 224, 224)).values(), Cost(0, 0, 0))

    def work() -> float:
        with tempfile.TemporaryDirectory() as out:
            begin = time.perf_counter()
            command(course.finetune_words(Job("probe", "course", 0, device), out, "--probe-only"))
            return time.perf_counter() - begin

    seconds = work()
    with profiled(device) as events:
        wall = work()
    title = WORKLOADS["probe"].title
    return row(title, seconds, sum(GROCERIES), once, ANSWERING, rates, said(events, wall))


def row(
    title: str,
    seconds: float,
    images: int,
    once: Cost,
    factors: tuple[int, int],
    rates: tuple[float, float],
    rest: str,
) -> dict[str, Any]:
    """Put a floor together from what one image costs once, forward."""
    multiplying, moving = (
        images * factor * each / rate
        for factor, each, rate in zip(factors, (once.multiply_adds, once.activation_bytes), rates, strict=True)
    )
    return {
        "workload": title,
        "seconds": round(seconds, 2),
        "multiplying, s": round(multiplying, 3),
        "moving bytes, s": round(moving, 3),
        "times the floor": round(seconds / max(multiplying, moving), 2),
        "billion multiply-adds a second at most": round(rates[0] / 1e9, 1),
        "billion bytes a second at most": round(rates[1] / 1e9, 1),
        "where the time goes": rest,
    }


@contextmanager
def profiled(device: str) -> Iterator[list[Any]]:
    """Give a list that holds what PyTorch's operations took, when the block is over."""
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]
    events: list[Any] = []
    with profile(activities=kinds) as found:
        yield events
    events += found.key_averages()


def said(events: list[Any], wall: float) -> str:
    """Say which operations take the most, of the time that all of them and everything else take."""
    on_gpu = any(event.self_device_time_total for event in events)
    name = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    own = sorted(((getattr(event, name) / 1e6, event.key) for event in events), reverse=True)
    within = sum(seconds for seconds, _ in own)
    whole = max(wall, within)
    words = [f"{name.removeprefix('aten::')} {100 * seconds / whole:.0f} %" for seconds, name in own[:SHOWN]]
    return f"{', '.join(words)}, outside of PyTorch's operations {100 * (whole - within) / whole:.0f} %"
