"""A classifier for programs without PyTorch: exported as ONNX, and asked beside the original."""

import importlib.util
import io
import os

import torch
from torch import nn

from tlcourse.models.compression.quantized import is_int8
from tlcourse.photos.memory import PhotoSource

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
INPUT, OUTPUT = "photographs", "scores"
CLOSE = 1e-3  # of the largest score; two programs add up in another order


def check_packages() -> None:
    """Raise ValueError where what the export needs is not installed."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(
            f"{', '.join(missing)} could not be found. Expected all of {', '.join(PACKAGES)}: "
            "python -m pip install 'tlcourse[onnx]'."
        )


def export_onnx(model: nn.Module, side: int) -> bytes:
    """Return a network as an ONNX file, for any number of images, float32 `[N, 3, side, side]`.

    Raises ValueError where packages are missing, or the network is in 8 bits.
    """
    check_packages()
    if is_int8(model.state_dict()):
        raise ValueError("this network is in 8 bits. Expected one in floating point: export the one that it came from.")
    model = model.eval().cpu()
    images = {0: torch.export.Dim("images")}
    x = torch.zeros(2, 3, side, side)
    program = torch.onnx.export(
        model, (x,), input_names=[INPUT], output_names=[OUTPUT], dynamic_shapes=(images,), dynamo=True, verbose=False
    )
    buffer = io.BytesIO()
    program.save(buffer)
    return buffer.getvalue()


def onnx_logits(network: bytes, photos: PhotoSource) -> torch.Tensor:
    """Ask an exported network about photographs with ONNX Runtime; return logits, float32 `[N, classes]`."""
    import onnxruntime  # optional, and slow to import

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    parts = [session.run([OUTPUT], {INPUT: x.numpy()})[0] for x, _ in photos.in_order()]
    return torch.cat([torch.from_numpy(part) for part in parts])


def check_export(original: torch.Tensor, exported: torch.Tensor) -> float:
    """Return the largest difference of two logits `[N, classes]`; ValueError where it is more than rounding."""
    difference, largest = (original - exported).abs().max().item(), original.abs().max().item()
    if not difference <= CLOSE * largest:
        raise ValueError(
            f"the exported network answers otherwise, by up to {difference:.2g} where scores reach {largest:.2g}. "
            f"Expected at most {CLOSE:g} of that. Nothing was written; keep to the original, and report this."
        )
    return difference
