"""What may come back from a process that runs somebody's code: plain values as JSON, numbers as safetensors, no pickle.

Reading it builds plain values, runs nothing, and takes no more memory than came.
"""

import itertools
import json
import struct
from collections.abc import Iterable, Mapping

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

LARGEST = 2**27  # bytes of an encoded answer
LONGEST = 2**25  # bytes of the JSON in it; objects take more memory than the numbers in a tensor
CONTAINERS = {"list": list, "tuple": tuple, "set": frozenset}  # sets may lie in sets
NUMBERS = (bool, int, float, complex, np.ndarray, np.generic, torch.Tensor)
WHOLE_VALUES = (*NUMBERS, str, bytes, Mapping, list, tuple, set, frozenset, type, nn.Module)
MOST_ITEMS = 10**6  # that are taken from something that gives one after the other, perhaps without end
# What tensors lead to that are not plain numbers, and what forged bytes do.
FORGED = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    struct.error,
    SafetensorError,
)
NOT_PLAIN = (RuntimeError, NotImplementedError, LookupError, TypeError, ValueError, SafetensorError)
Tensors = dict[str, torch.Tensor]


class EncodingError(ValueError):
    """A value cannot leave the process, or what came out of it is no value."""


def listed(value: object) -> object:
    """Return a list of what a generator, a range, the keys of a dict or a series holds; other values as they are."""
    if isinstance(value, WHOLE_VALUES) or not isinstance(value, Iterable):
        return value
    return list(itertools.islice(value, MOST_ITEMS))


def encode(value: object) -> bytes:
    """Turn a value into bytes; raises EncodingError for one that is of another kind, too large, or endless."""
    tensors: Tensors = {}
    try:
        text = json.dumps(_to_plain(value, tensors)).encode()
    except RecursionError as error:
        raise EncodingError("a list or dict that contains itself came. Expected values that end somewhere.") from error
    size = len(text) + sum(tensor.nbytes for tensor in tensors.values())
    if len(text) > LONGEST or size > LARGEST:
        raise EncodingError(f"{size / 2**20:.0f} MiB came. Expected a result that is smaller.")
    return struct.pack("<Q", len(text)) + text + safetensors.torch.save(tensors)


def decode(data: bytes) -> object:
    """Read back what `encode` wrote; bytes from a hostile sender raise EncodingError and run nothing."""
    try:
        (length,) = struct.unpack_from("<Q", data)
        if length > min(LONGEST, len(data) - 8):
            raise ValueError("the text is longer than what came")
        return _from_plain(json.loads(data[8 : 8 + length]), safetensors.torch.load(data[8 + length :]))
    except FORGED as error:
        raise EncodingError(f"{len(data):,} bytes that are no encoded value came: {type(error).__name__}") from error


def _to_plain(value: object, tensors: Tensors) -> object:
    """Return what JSON can hold; tensors and arrays go to `tensors`."""
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind == "U":
        value = value.tolist()  # texts
    if isinstance(value, np.ndarray | np.generic):
        return {"kind": "array", "scalar": isinstance(value, np.generic), "of": _keep(_as_tensor(value), tensors)}
    if isinstance(value, torch.Tensor):
        return {"kind": "tensor", "of": _keep(value, tensors)}
    if type(value) in (bool, int, str, float, type(None)):
        return value
    if type(value) is complex:
        return {"kind": "complex", "of": [value.real, value.imag]}
    if type(value) is bytes:
        return {"kind": "bytes", "of": value.decode("latin-1")}
    if isinstance(value, dict):
        return {"kind": "dict", "of": [[_to_plain(k, tensors), _to_plain(v, tensors)] for k, v in value.items()]}
    value = listed(value)
    for kind, container in (("list", list), ("tuple", tuple), ("set", set | frozenset)):
        if isinstance(value, container):
            return {"kind": kind, "of": [_to_plain(item, tensors) for item in value]}
    kinds = "a number, a text, a tensor, an array, or a list, tuple or dict of these"
    raise EncodingError(f"a {type(value).__name__} came. Expected {kinds}.")


def _as_tensor(array: np.ndarray | np.generic) -> torch.Tensor:
    try:
        return torch.from_numpy(np.array(array, array.dtype.newbyteorder("="), order="C"))
    except NOT_PLAIN as error:
        raise EncodingError(f"an array of {array.dtype} came. Expected numbers.") from error


def _keep(tensor: torch.Tensor, tensors: Tensors) -> str:
    """Put a copy of a tensor among those that travel, complex numbers as pairs, and return its name."""
    name = f"{len(tensors)}{'c' * tensor.is_complex()}"
    try:
        plain = tensor.detach().cpu().as_subclass(torch.Tensor).resolve_conj().resolve_neg()
        pairs = torch.view_as_real(plain) if plain.is_complex() else plain
        tensors[name] = pairs.clone(memory_format=torch.contiguous_format)
        safetensors.torch.save({"": tensors[name].flatten()[:0].clone()})  # a kind of number that it cannot hold
    except NOT_PLAIN as error:
        raise EncodingError(f"a {tensor.layout} tensor of {tensor.dtype} came. Expected a plain tensor.") from error
    return name


def _from_plain(value: object, tensors: Tensors) -> object:
    if not isinstance(value, dict):
        if isinstance(value, list):
            raise ValueError("a list without its kind")
        return value
    kind, of = value["kind"], value["of"]
    if kind == "dict":
        return {_from_plain(k, tensors): _from_plain(v, tensors) for k, v in of}
    if kind in CONTAINERS:
        return CONTAINERS[kind](_from_plain(item, tensors) for item in of)
    if kind == "complex":
        return complex(*of)
    if kind == "bytes":
        return of.encode("latin-1")
    tensor = torch.view_as_complex(tensors[of]) if of.endswith("c") else tensors[of]
    tensor = tensor.view(torch.uint8) != 0 if tensor.dtype is torch.bool else tensor  # forged ones may be neither
    if kind == "tensor":
        return tensor
    return tensor.numpy()[()] if value["scalar"] else tensor.numpy()
