"""What may come back from a sandbox: numbers, texts, tensors, arrays and containers of them, and never code."""

import io
import pickle

import numpy as np
import torch

PLAIN = (bool, int, float, complex, str, bytes, type(None))
LARGEST = 2**28  # bytes of an encoded answer


class EncodingError(ValueError):
    """A value cannot leave the sandbox, or what came out of it is no value."""


def encode(value: object) -> bytes:
    """Turn a value into bytes that can be read back without running code.

    Args:
        value: a number, text, tensor, NumPy array or scalar, or a list, tuple, set or dict of such values.

    Returns:
        The bytes.

    Raises:
        EncodingError: the value is of another kind, or refers to itself.
    """
    buffer = io.BytesIO()
    try:
        torch.save(_to_plain(value), buffer)
    except RecursionError as error:
        raise EncodingError("a list or dict that contains itself came. Expected values that end somewhere.") from error
    return buffer.getvalue()


def decode(data: bytes) -> object:
    """Read back what `encode` wrote; bytes from a hostile sender raise and run nothing.

    Args:
        data: the bytes.

    Returns:
        The value; arrays are NumPy arrays again.

    Raises:
        EncodingError: the bytes are not an encoded value.
    """
    try:
        return _from_plain(torch.load(io.BytesIO(data), map_location="cpu", weights_only=True))
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise EncodingError(f"{len(data):,} bytes that are no encoded value came: {type(error).__name__}") from error


def _to_plain(value: object) -> object:
    """Mark what `torch.load` would refuse, so that `_from_plain` can bring it back."""
    if isinstance(value, np.ndarray | np.generic):
        return {"kind": "array", "of": _array_as_tensor(np.asarray(value)), "scalar": isinstance(value, np.generic)}
    if isinstance(value, torch.Tensor):
        return {
            "kind": "tensor",
            "of": torch.Tensor(value.detach().cpu())
            if type(value) is not torch.Tensor
            else value.detach().cpu().contiguous().clone(),
        }
    if isinstance(value, PLAIN) and type(value) in PLAIN:
        return value
    if isinstance(value, dict):
        return {"kind": "dict", "of": [[_to_plain(k), _to_plain(v)] for k, v in value.items()]}
    for kind, container in (("list", list), ("tuple", tuple), ("set", set | frozenset)):
        if isinstance(value, container):
            return {"kind": kind, "of": [_to_plain(item) for item in value]}
    raise EncodingError(
        f"a {type(value).__name__} came. Expected a number, a text, a tensor, an array, or a list, tuple or "
        "dict of these."
    )


def _array_as_tensor(array: np.ndarray) -> torch.Tensor:
    if array.dtype.kind not in "biufc":
        raise EncodingError(f"an array of {array.dtype} came. Expected numbers.")
    return torch.from_numpy(np.ascontiguousarray(array).copy().reshape(array.shape))


def _from_plain(value: object) -> object:
    if not isinstance(value, dict):
        return value
    kind, inside = value["kind"], value["of"]
    if kind == "tensor":
        return inside
    if kind == "array":
        array = inside.numpy()
        return array[()] if value["scalar"] else array
    if kind == "dict":
        return {_from_plain(k): _from_plain(v) for k, v in inside}
    return {"list": list, "tuple": tuple, "set": set}[kind](_from_plain(item) for item in inside)
