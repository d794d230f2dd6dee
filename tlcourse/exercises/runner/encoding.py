"""What may come back from a sandbox: numbers, texts, tensors, arrays and containers of them, and never code.

The bytes are a JSON text that says what there is, and behind it the numbers of tensors and arrays as they are. There
is no pickle in it: reading it builds plain values, and no more of them than bytes came.
"""

import itertools
import json
import math
import struct
from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import nn

LARGEST = 2**27  # bytes of an encoded answer
LONGEST = 2**25  # bytes of the text in it; objects take more memory than the numbers in a tensor
WHOLE = 2**53  # JSON readers agree on whole numbers up to here
NAMES = "bool uint8 int8 int16 int32 int64 uint16 uint32 uint64 float16 bfloat16 float32 float64 complex64 complex128"
DTYPES = {f"torch.{name}": getattr(torch, name) for name in NAMES.split() if hasattr(torch, name)}
FORGED = (ValueError, LookupError, TypeError, OverflowError, struct.error, RuntimeError)  # what forged bytes lead to
CONTAINERS = {"list": list, "tuple": tuple, "set": frozenset}  # sets may lie in sets
NUMBERS = (bool, int, float, complex, np.ndarray, np.generic, torch.Tensor)
WHOLE_VALUES = (*NUMBERS, str, bytes, Mapping, list, tuple, set, frozenset, type, nn.Module)
MOST_ITEMS = 10**6  # that are taken from something that gives one after the other, perhaps without end


class EncodingError(ValueError):
    """A value cannot leave the sandbox, or what came out of it is no value."""


def listed(value: object) -> object:
    """Return a list of what a generator, a range, the keys of a dict or a series holds; other values as they are."""
    if isinstance(value, WHOLE_VALUES) or not isinstance(value, Iterable):
        return value
    return list(itertools.islice(value, MOST_ITEMS))


def encode(value: object) -> bytes:
    """Turn a value into bytes; raises EncodingError for one that is of another kind, too large, or endless."""
    numbers: list[bytes] = []
    try:
        text = json.dumps(_to_plain(value, numbers)).encode()
    except RecursionError as error:
        raise EncodingError("a list or dict that contains itself came. Expected values that end somewhere.") from error
    size = len(text) + sum(map(len, numbers))
    if len(text) > LONGEST or size > LARGEST:
        raise EncodingError(f"{size / 2**20:.0f} MiB came. Expected a result that is smaller.")
    return b"".join([struct.pack("<Q", len(text)), text, *numbers])


def decode(data: bytes) -> object:
    """Read back what `encode` wrote; bytes from a hostile sender raise EncodingError and run nothing."""
    try:
        (length,) = struct.unpack_from("<Q", data)
        if length > min(LONGEST, len(data) - 8):
            raise ValueError("the text is longer than what came")
        return _from_plain(json.loads(data[8 : 8 + length]), memoryview(data)[8 + length :])
    except FORGED as error:
        raise EncodingError(f"{len(data):,} bytes that are no encoded value came: {type(error).__name__}") from error


def _to_plain(value: object, numbers: list[bytes]) -> object:
    """Return what JSON can hold; the bytes of tensors and arrays go to `numbers`."""
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind == "U":
        value = value.tolist()  # texts
    if isinstance(value, np.ndarray | np.generic):
        return _array_to_plain(np.asarray(value), numbers) | {"scalar": isinstance(value, np.generic)}
    if isinstance(value, torch.Tensor):
        return _tensor_to_plain(value, numbers)
    if type(value) in (bool, str, float, type(None)) or (type(value) is int and abs(value) <= WHOLE):
        return value
    if type(value) is int:
        return {"kind": "int", "of": hex(value)}
    if type(value) is complex:
        return {"kind": "complex", "of": [value.real, value.imag]}
    if type(value) is bytes:
        return {"kind": "bytes", "at": _add(value, numbers)}
    if isinstance(value, dict):
        return {"kind": "dict", "of": [[_to_plain(k, numbers), _to_plain(v, numbers)] for k, v in value.items()]}
    value = listed(value)
    for kind, container in (("list", list), ("tuple", tuple), ("set", set | frozenset)):
        if isinstance(value, container):
            return {"kind": kind, "of": [_to_plain(item, numbers) for item in value]}
    kinds = "a number, a text, a tensor, an array, or a list, tuple or dict of these"
    raise EncodingError(f"a {type(value).__name__} came. Expected {kinds}.")


def _add(data: bytes, numbers: list[bytes]) -> list[int]:
    begin = sum(map(len, numbers))
    numbers.append(data)
    return [begin, begin + len(data)]


def _array_to_plain(array: np.ndarray, numbers: list[bytes]) -> dict[str, object]:
    if array.dtype.kind not in "biufc":
        raise EncodingError(f"an array of {array.dtype} came. Expected numbers.")
    return {"kind": "array", "of": array.dtype.str, "shape": list(array.shape), "at": _add(array.tobytes(), numbers)}


def _tensor_to_plain(tensor: torch.Tensor, numbers: list[bytes]) -> dict[str, object]:
    try:
        plain = tensor.detach().cpu().as_subclass(torch.Tensor).resolve_conj().resolve_neg().contiguous()
        data = plain.reshape(-1).view(torch.uint8).numpy().tobytes()
        dtype = DTYPES[str(plain.dtype)]
    except (RuntimeError, NotImplementedError, KeyError, TypeError) as error:
        raise EncodingError(f"a {tensor.layout} tensor of {tensor.dtype} came. Expected a plain tensor.") from error
    return {"kind": "tensor", "of": str(dtype), "shape": list(plain.shape), "at": _add(data, numbers)}


def _from_plain(value: object, numbers: memoryview) -> object:
    if not isinstance(value, dict):
        if isinstance(value, list):
            raise ValueError("a list without its kind")
        return value
    kind = value["kind"]
    if kind == "dict":
        return {_from_plain(k, numbers): _from_plain(v, numbers) for k, v in value["of"]}
    if kind in CONTAINERS:
        return CONTAINERS[kind](_from_plain(item, numbers) for item in value["of"])
    if kind == "int":
        return int(value["of"], 16)
    if kind == "complex":
        return complex(*value["of"])
    return {"bytes": _bytes, "array": _array, "tensor": _tensor}[kind](value, numbers)


def _bytes(value: Mapping, numbers: memoryview) -> bytes:
    begin, end = value["at"]
    if not 0 <= begin <= end <= len(numbers):
        raise ValueError("numbers that did not come")
    return bytes(numbers[begin:end])


def _array(value: Mapping, numbers: memoryview) -> np.ndarray | np.generic:
    dtype = np.dtype(value["of"])
    if dtype.kind not in "biufc":
        raise ValueError("an array of something else")
    array = np.frombuffer(_bytes(value, numbers), dtype).reshape(_shape(value)).copy()
    array = array.view(np.uint8) != 0 if dtype.kind == "b" else array
    return array[()] if value["scalar"] else array


def _tensor(value: Mapping, numbers: memoryview) -> torch.Tensor:
    dtype, data, shape = DTYPES[value["of"]], bytearray(_bytes(value, numbers)), _shape(value)
    if not data:
        return torch.empty(shape, dtype=dtype)
    flat = torch.frombuffer(data, dtype=torch.uint8)
    return (flat != 0 if dtype is torch.bool else flat.view(dtype)).reshape(shape)


def _shape(value: Mapping) -> list[int]:
    """The shape, if it is one; a product of sizes that does not match the bytes is refused by `reshape`."""
    shape = [int(length) for length in value["shape"]]
    if min(shape, default=0) < 0 or len(shape) > 32 or math.prod(shape) > LARGEST:
        raise ValueError("no shape")
    return shape
