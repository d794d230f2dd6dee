"""Seeds, generators, the device and the progress bar: what a run needs so that it can be repeated, and watched."""

import builtins
import contextlib
import hashlib
import os
import platform
import sys
import threading
from collections.abc import Iterator
from typing import Any

import torch
from tqdm.auto import tqdm

_one_at_a_time = threading.RLock()  # PyTorch has one global generator for all threads


def generator(*keys: int | str) -> torch.Generator:
    """Return a CPU generator whose stream depends on nothing but `keys`, such as `("batches", seed, epoch)`.

    Distinct keys give unrelated streams, so each part of an experiment (labels, weights, batches) can have its own, and
    adding a draw to one never changes another. PyTorch's global generator is neither read nor moved.
    """
    digest = hashlib.sha256(repr(keys).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def uniform(count: int, low: float, high: float, draws: torch.Generator) -> torch.Tensor:
    """Draw `count` numbers evenly between `low` and `high`, float32 `[count]` on the CPU."""
    return torch.rand(count, generator=draws) * (high - low) + low


@contextlib.contextmanager
def seeded(*keys: int | str) -> Iterator[None]:
    """Run a block with PyTorch's global CPU generator seeded from `keys`, and put the old state back afterwards.

    Layers draw their first weights from the global generator; `with seeded("weights", 3): TinyResNet(10)` gives the
    same network every time and leaves the rest of the program as it was. Where several threads do this at once, one
    waits for the other.
    """
    with _one_at_a_time, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(generator(*keys).initial_seed())
        yield


def pick_device(named: torch.device | str | None = None) -> torch.device:
    """Return the device to compute on: the one named here or in `TLCOURSE_DEVICE`, else a CUDA GPU, else the CPU."""
    wanted = named or os.environ.get("TLCOURSE_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.empty(0, device=wanted).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"{'the device' if named else 'TLCOURSE_DEVICE'} is {str(wanted)!r}, which PyTorch {torch.__version__} "
            f"cannot use here ({error}). Expected 'cpu', or 'cuda' on a machine with an NVIDIA GPU. "
            f"{'Leave it out' if named else 'Unset TLCOURSE_DEVICE'} to choose automatically."
        ) from error


def describe_machine() -> str:
    """Say in a few lines where the course will run, with which versions and on how many threads."""
    device = pick_device()
    if device.type == "cuda":
        gpu = torch.cuda.get_device_properties(device)
        where = f"the GPU {gpu.name} ({gpu.total_memory / 2**30:.0f} GiB); images are drawn on the CPU"
    else:
        where = f"the CPU, on {torch.get_num_threads()} threads; no GPU is needed for this course"
    return (
        f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, PyTorch {torch.__version__}\n"
        f"Training and prediction run on {where}.\n"
        f"Nothing will be downloaded: images, models and results came with the course."
    )


def progress_bar(*what: Any, shown: bool = True, **options: Any) -> tqdm:  # noqa: ANN401
    """Return tqdm's bar, which vanishes at its end; it is drawn on a terminal or in a notebook, and in no log file."""
    return tqdm(*what, leave=False, disable=not (shown and watched()), **options)


def watched() -> bool:
    """Whether somebody watches: on a terminal or in a notebook, but not in a log file."""
    return sys.stderr.isatty() or hasattr(builtins, "__IPYTHON__")
