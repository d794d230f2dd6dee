"""What a core of this machine can do: multiply-adds and bytes a second, and joules where it tells; and its layers."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from tlcourse.models.cost import layer_costs
from tlcourse.models.tiny_resnet import TinyResNet

SIDE, MEMORY = 512, 2**25  # of the matrices that are multiplied; bytes that are copied, more than caches hold
FLOAT = 4  # bytes
RAPL = Path("/sys/class/powercap/intel-rapl:0/energy_uj")  # a counter that Linux shows of some processors


@contextmanager
def threads(count: int = 1) -> Iterator[None]:
    """Compute with so many threads, and as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def milliseconds(
    work: Callable[[], object], repeats: int = 7, warm: int = 2, clock: Callable[[], float] = time.thread_time
) -> float:
    """Return the time of the fastest of some calls on one core; the first `warm` are not counted.

    The clock counts only while this thread computes, and the fastest call is the least disturbed one: other programs on
    the same machine should not matter. With `clock=time.perf_counter` it is the clock on the wall, and all threads.
    """
    times = []
    with nullcontext() if clock is time.perf_counter else threads(1):
        for call in range(warm + repeats):
            started = clock()
            work()
            if call >= warm:
                times.append(1000 * (clock() - started))
    return min(times)


def peaks() -> tuple[float, float]:
    """Measure what one core does at most: billion multiply-adds, and billion bytes read or written, a second.

    The most is that of the better of a product of matrices and a large convolution: on some processors one of the two
    is written better.
    """
    a, b = torch.randn(SIDE, SIDE), torch.randn(SIDE, SIDE)
    product = SIDE**3 / milliseconds(lambda: a @ b)
    conv, x = nn.Conv2d(128, 128, 3, padding=1, bias=False).requires_grad_(False), torch.randn(8, 128, 32, 32)
    convolved = x.numel() * conv.weight[0].numel() / milliseconds(lambda: conv(x), repeats=3)
    source = torch.ones(MEMORY // FLOAT)
    target = torch.empty_like(source)
    copied = 2 * MEMORY / milliseconds(lambda: target.copy_(source))
    return max(product, convolved) / 1e6, copied / 1e6  # from a millisecond to a second, and to billions


def joules() -> float | None:
    """Return what the processor's counter of energy says, in joules; None where it cannot be read, as on most."""
    try:
        return int(RAPL.read_text()) / 1e6
    except (OSError, ValueError):
        return None


def layers_measured(batch: int = 50) -> pd.DataFrame:
    """Time every convolution of the course's network, the head too, on a batch of 32x32 images.

    `intensity` is multiply-adds a byte that has to move at least (input, output and weights once), `rate` is billion
    multiply-adds a second as measured.
    """
    model, rows = TinyResNet().eval(), []
    work = layer_costs(model)

    def watch(name: str, layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        x = inputs[0]
        taken = milliseconds(lambda: layer.forward(x), repeats=5)
        moved = FLOAT * (x.numel() + output.numel() + layer.weight.numel())
        done = batch * work[name].multiply_adds
        rows.append({"layer": name, "milliseconds": taken, "intensity": done / moved, "rate": done / taken / 1e6})

    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.register_forward_hook(lambda layer, x, y, name=name: watch(name, layer, x, y))
    with torch.no_grad():
        model(torch.randn(batch, 3, 32, 32))
    return pd.DataFrame(rows)
