"""Files that are whole or absent: atomic writing, hashes, and reading tensors without running code."""

import contextlib
import glob
import hashlib
import io
import os
import pickle
import platform
import re
import shutil
import uuid
from pathlib import Path

import psutil
import safetensors.torch
import torch
from safetensors import SafetensorError

Tensors = dict[str, torch.Tensor]
WEB_PAGE = "a web page, and not the file that it is about. Download that again, by the link of the file itself."
ZIP = b"PK\x03\x04"  # what torch.save writes is such an archive
STAND_INS = {  # what people have in place of weights, by how it begins
    b"version https://git-lfs": "a pointer of Git LFS, which stands for the file: fetch that with `git lfs pull`.",
    b"<!doctype html": WEB_PAGE,
    b"<html": WEB_PAGE,
}


class StorageError(OSError):
    """A file could not be written, or is not what it should be."""


def write_atomically(path: Path | str, data: bytes) -> Path:
    """Write `data` to `path` so that a reader finds the old file or the new one, never a half; folders are made.

    The bytes go to a temporary file in the same folder, are forced to disk, and are then moved into place, which the
    operating system does in one step.
    """
    path = Path(path)
    temporary = temporary_beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        kept = "The file that was there before is unchanged. " if path.is_file() else ""
        raise StorageError(
            f"could not write {len(data):,} bytes to {path}: {error.strerror or error}. {kept}"
            "Free some space, or choose a folder that you can write to, and try again."
        ) from error
    finally:  # after an interruption too
        with contextlib.suppress(OSError):
            temporary.unlink()
    return path


def check_writable(path: Path | str) -> None:
    """Raise StorageError where a file cannot be written; ask before the long work, not after it."""
    if Path(path).is_dir():
        raise StorageError(f"{path} is a folder, but the name of a file was expected.")
    write_atomically(f"{path}.trial", b"").unlink()


def temporary_beside(path: Path) -> Path:
    """Return a new name beside `path` for what is not whole yet; delete what killed processes left under such names.

    The name holds the machine and the process, so that what a living process writes stays, and what another machine
    that shares the folder writes, too.
    """
    start = f".{path.name}.{platform.node()}-"
    with contextlib.suppress(OSError):
        for left in path.parent.glob(f"{glob.escape(start)}*.tmp"):
            process = re.fullmatch(r"(\d{1,9})-[0-9a-f]{32}\.tmp", left.name.removeprefix(start))
            if process is not None and not psutil.pid_exists(int(process[1])):
                shutil.rmtree(left) if left.is_dir() else left.unlink()
    return path.with_name(f"{start}{os.getpid()}-{uuid.uuid4().hex}.tmp")


def sha256(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def save_tensors(path: Path | str, tensors: Tensors, metadata: dict[str, str] | None = None) -> Path:
    """Write named tensors as `.pth` or `.pt` with `torch.save`, under any other name as safetensors.

    `metadata`, short texts, is for safetensors alone; ValueError elsewhere.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    if Path(path).suffix not in (".pth", ".pt"):
        return write_atomically(path, safetensors.torch.save(plain, metadata))
    if metadata:
        raise ValueError(f"{path}: a .pth file holds tensors only, but metadata was given. Use a .safetensors name.")
    return save_object(path, plain)


def save_object(path: Path | str, value: object) -> Path:
    """Write tensors, numbers, texts and containers of them with `torch.save`, atomically."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return write_atomically(path, buffer.getvalue())


def read_bytes(path: Path | str, expected_sha256: str | None = None) -> bytes:
    """Read a whole file; StorageError when it is missing, a stand-in, or of another hash (64 digits)."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise StorageError(
            f"could not read {path}: {error.strerror or error}. Expected a file of weights; check the name."
        ) from error
    for start, what in STAND_INS.items():
        if data[:40].lstrip().lower().startswith(start):
            raise StorageError(f"{path} ({len(data):,} bytes) is {what} Nothing was loaded.")
    if expected_sha256 is not None and sha256(data) != expected_sha256:
        raise StorageError(
            f"{path} has SHA-256 {sha256(data)[:16]}… ({len(data):,} bytes), but {expected_sha256[:16]}… was expected: "
            "the file is incomplete or was changed. Nothing was loaded. Get the file again from where it came."
        )
    return data


def read_tensors(path: Path | str, expected_sha256: str | None = None) -> Tensors:
    """Read named tensors from safetensors or a file of PyTorch to the CPU, without ever running code from it.

    Which of the two it is, its content says, and its name where that is no help. StorageError when it is missing,
    truncated, of another hash, asks to run code, or holds no plain state dict.
    """
    data = read_bytes(path, expected_sha256)
    of_pytorch = data.startswith(ZIP) or Path(path).suffix in (".pth", ".pt")
    if data[8:9] == b"{" or not of_pytorch:  # safetensors: 8 bytes of length, then JSON
        try:
            return safetensors.torch.load(data)
        except SafetensorError as error:
            raise StorageError(
                f"{path} ({len(data):,} bytes) is not a whole safetensors file: {error}. Nothing was loaded. If it "
                "should be one, copy or download it again; old files of torch.save must be named .pth or .pt."
            ) from error
    value = parse_object(path, data)
    if not isinstance(value, dict) or not all(isinstance(t, torch.Tensor) for t in value.values()):
        raise StorageError(
            f"{path} holds {_describe(value)}, but a state dict was expected: a dict of tensors by name. "
            "If the weights lie deeper inside, save that part alone with save_tensors()."
        )
    return value


def parse_object(path: Path | str, data: bytes) -> object:
    """Decode what `save_object` wrote, to the CPU; StorageError when it is truncated or asks to run code."""
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # of PyTorch's message only what it stopped at; its first line explains how to run the code after all
        stopped_at = re.search(r"(GLOBAL \S+|Unsupported operand \d+)", str(error))
        raise StorageError(
            f"{path} was refused: besides tensors it holds Python objects, and unpickling those can run any code. "
            "Nothing of it was run. Expected a plain state dict; ask for a .safetensors file. "
            f"(PyTorch stopped at: {stopped_at[1] if stopped_at else type(error).__name__})"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise StorageError(
            f"{path} ({len(data):,} bytes) is not a whole PyTorch file: {_first_line(error)} "
            "Nothing was loaded. Copy or download it again."
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _describe(value: object) -> str:
    return f"a dict with the keys {list(value)[:4]}" if isinstance(value, dict) else f"a {type(value).__name__}"
