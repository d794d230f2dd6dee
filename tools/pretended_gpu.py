"""A pretended GPU: run notebooks as on a machine with one, to find where tensors are on different devices.

`python tools/pretended_gpu.py notebooks/07_without_labels.ipynb ...` runs all cells of each and names those that a GPU
would refuse. Everything is computed on the CPU, but what was moved to "cuda" is marked, so is what is computed from it,
and whoever mixes marked tensors with others, or hands them to NumPy, gets an error as from PyTorch. The mark belongs to
a tensor's memory, so views, parameters and gradients carry it. How a GPU rounds, or how fast it is, is not shown.
"""

import contextlib
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar
from unittest import mock

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode

GPU, CPU = torch.device("cuda", 0), torch.device("cpu")
NAMES = {"cuda": GPU, "cuda:0": GPU, "cpu": CPU}
NAME_ONLY = (torch.device, torch._C._nn._parse_to)  # these name a device and compute nothing
TO_NUMPY = (Tensor.numpy, Tensor.__array__)
INDEXING = (Tensor.__getitem__, Tensor.__setitem__)  # a GPU's tensor takes indices, and slices, from the CPU
LIKE_ANOTHER = (Tensor.to, Tensor.type_as)
ACROSS_DEVICES = (
    *(*LIKE_ANOTHER, Tensor.copy_, torch._foreach_copy_, Tensor.data.__set__),  # these copy, or replace
    *(Tensor.view_as, Tensor.expand_as, Tensor.reshape_as, torch.broadcast_tensors),  # these read a shape
    *(torch._has_compatible_shallow_copy_type, torch.autograd.grad, Tensor.backward),
)


class PretendedGPU(TorchFunctionMode):
    """What a thread that entered it does on "cuda" is done on the CPU, and checked."""

    # by address, which no other memory gets while this is referred to; for all, as functions remember their results
    marked: ClassVar[dict[int, StorageWeakRef]] = {}

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in NAME_ONLY:
            return func(*args, **kwargs)
        given = list(tensors((args, kwargs)))
        if func is torch.autograd.grad:  # gradients are where the leaves are
            given = list(tensors(args[1] if len(args) > 1 else kwargs["inputs"]))
        target = GPU if any(map(self.holds, given)) else CPU
        if func == Tensor.device.__get__:
            return target
        if func == Tensor.is_cuda.__get__:
            return target is GPU
        if target is GPU:
            self.check(func, args, given)
        goal = self.goal(func, args, kwargs, given)
        if (goal or target) is GPU and isinstance(draws := kwargs.get("generator"), torch.Generator):
            raise RuntimeError(f"Expected a 'cuda' device type for generator but found '{draws.device}'")
        func = Tensor.cpu if func is Tensor.cuda else func
        result = func(*map(on_cpu, args), **{name: on_cpu(part) for name, part in kwargs.items()})
        own = {address(one) for one in given if not self.holds(one)}
        moved = goal and isinstance(result, Tensor)
        if moved and (address(result) in own if goal is GPU else self.holds(result)):
            result = result.clone()  # another device has memory of its own
        if (goal or target) is GPU:
            for one in tensors(result):
                if address(one) not in own:
                    self.mark(one)
        return result

    def goal(self, func, args, kwargs, given) -> torch.device | None:
        """Return the device that a call names for its result, None where it names none."""
        if func in (Tensor.cpu, Tensor.cuda):
            return GPU if func is Tensor.cuda else CPU
        if func in LIKE_ANOTHER and len(given) == 2:
            return GPU if self.holds(given[1]) else CPU
        return next((device for part in (*args, *kwargs.values()) if (device := device_of(part))), None)

    def check(self, func, args, given) -> None:
        """Raise what PyTorch raises, where a tensor is given that is not on the GPU and had to be."""
        if func in TO_NUMPY:
            raise TypeError(
                "can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory "
                "first."
            )
        if func in INDEXING:
            if not self.holds(args[0]) and any(map(self.holds, tensors(args[1]))):
                raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
        elif func not in ACROSS_DEVICES and not all(self.holds(one) or not one.ndim for one in given):
            raise RuntimeError("Expected all tensors to be on the same device, but found at least two, cuda:0 and cpu!")

    def holds(self, tensor: Tensor) -> bool:
        return address(tensor) in self.marked

    def mark(self, tensor: Tensor) -> None:
        self.marked[address(tensor)] = StorageWeakRef(tensor.untyped_storage())
        if len(self.marked) % 10_000 == 0:
            for key in [key for key, memory in self.marked.items() if memory.expired()]:
                del self.marked[key]


def tensors(parts) -> Iterator[Tensor]:
    if isinstance(parts, Tensor):
        yield parts
    elif isinstance(parts, list | tuple | dict):
        for part in parts.values() if isinstance(parts, dict) else parts:
            yield from tensors(part)


def address(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def device_of(part) -> torch.device | None:
    return NAMES.get(str(part)) if isinstance(part, torch.device | str) else None


def on_cpu(part):
    return CPU if device_of(part) else part


@contextlib.contextmanager
def pretended_gpu() -> Iterator[None]:
    """Let PyTorch find a GPU in this block, and in the threads that start in it."""
    gpu, autocast, work = PretendedGPU(), torch.autocast, threading.Thread.run

    def run(thread: threading.Thread) -> None:
        with gpu:
            work(thread)

    machine = SimpleNamespace(name="pretended GPU", total_memory=2**33)
    with (
        # torch.cuda.is_available keeps saying no: PyTorch would go on to ask the driver
        mock.patch.dict(os.environ, TLCOURSE_DEVICE="cuda"),
        mock.patch.multiple(torch.cuda, is_bf16_supported=lambda: True, get_device_properties=lambda _: machine),
        mock.patch.multiple(torch.cuda, synchronize=lambda *_: None),
        mock.patch.multiple(torch, autocast=lambda *_, **__: autocast("cpu", enabled=False)),  # 16 bits would be slow
        mock.patch.object(threading.Thread, "run", run),
        gpu,
    ):
        yield


def failing_cells(notebook: Path) -> Iterator[str]:
    """Run a notebook on the pretended GPU; yields the id of each cell that fails, and its error."""
    import nbformat
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.utils.capture import capture_output
    from traitlets.config import Config

    shell = InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}))
    shell.reset()
    with pretended_gpu():
        for cell in nbformat.read(notebook, as_version=4).cells:
            if cell.cell_type == "code":
                with capture_output():
                    result = shell.run_cell(cell.source)
                if error := result.error_before_exec or result.error_in_exec:
                    yield f"{notebook.name}, cell {cell.id}: " + "".join(traceback.format_exception(error))


def main(notebooks: list[str]) -> int:
    os.environ |= {"TLCOURSE_PROGRESS": "off", "MPLBACKEND": "agg"}
    found = 0
    for notebook in map(Path, notebooks):
        begin = time.perf_counter()
        for failure in failing_cells(notebook):
            print(failure, flush=True)
            found += 1
        print(f"{notebook.name}: {time.perf_counter() - begin:.0f} s", flush=True)
    return bool(found)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
