"""One message after the other through a pipe: its length in eight bytes, and then itself."""

import struct
from typing import BinaryIO


def write(pipe: BinaryIO, data: bytes) -> None:
    """Send one message: its length, and then itself."""
    pipe.write(struct.pack("<Q", len(data)) + data)
    pipe.flush()


def read(pipe: BinaryIO, most: int = 2**40) -> bytes:
    """Take one message; raises EOFError when there is none, whole and of at most so many bytes."""
    (length,) = struct.unpack("<Q", _exactly(pipe, 8))
    return _exactly(pipe, length if length <= most else -1)


def _exactly(pipe: BinaryIO, length: int) -> bytes:
    parts, left = [], length
    while left > 0 and (part := pipe.read(min(left, 2**20))):
        parts.append(part)
        left -= len(part)
    if left:
        raise EOFError("the message is not whole")
    return b"".join(parts)
