"""Reading one photograph: whatever the file is, an upright RGB picture comes out, or an error that says why not."""

import contextlib
import functools
import io
import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from tlcourse.storage import StorageError

Source = Path | str | bytes | bytearray | memoryview  # a file, or its content, as a browser's upload gives it
LARGEST = 120_000_000  # pixels: the largest photographs of telephones have 108 million; in memory this is 360 MB
# Formats that hold a picture. Left out are those that start another program to be read (EPS) or hold data (GRIB).
FORMATS = (
    *("AVIF", "BMP", "DDS", "DIB", "GIF", "HEIF", "ICNS", "ICO", "JPEG", "JPEG2000", "MPO"),
    *("PCX", "PNG", "PPM", "PSD", "QOI", "SGI", "TGA", "TIFF", "WEBP"),
)
MOST_THREADS = 4  # more seldom help: the disk or the network is then the slower part
ORIENTATION = 0x0112  # number of the EXIF field
UPRIGHT = {  # what brings a picture of this EXIF orientation upright; 1 is upright already
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
TURNED, TRANSPARENT, GREY, PALETTE, DEEP = "turned upright", "transparent", "grey", "palette", "16 bits a colour"
COLOURS = {"1": GREY, "L": GREY, "LA": GREY, "La": GREY, "P": PALETTE, "PA": PALETTE}


class PhotoError(StorageError):
    """A file is not a picture that can be read."""


class NotAnImageError(PhotoError):
    """The content of a file belongs to no format of pictures."""


class UnreadableError(PhotoError):
    """A file is not there, or may not be read."""


class TooLargeError(PhotoError):
    """A picture has more pixels than are read; few bytes can claim to hold very many."""


def open_photo(path: Source, at_least: int | None = None) -> Image.Image:
    """Read a picture of any common format as upright RGB, free of its file; its content may be given instead of a path.

    A rotation noted in EXIF is carried out, grey becomes three equal channels, palettes and CMYK are turned into RGB,
    what is transparent is laid on white, and 16 bits are brought down to 8. Of an animation, the first frame is taken.
    With `at_least`, large JPEG files are read several times faster: the shorter side may come out smaller, but not
    below that number of pixels. Raises PhotoError: missing (`UnreadableError`), no picture (`NotAnImageError`),
    incomplete, or over 120 million pixels (`TooLargeError`).
    """
    return decode(path, at_least)[0]


def decode(path: Source, at_least: int | None = None) -> tuple[Image.Image, tuple[str, ...]]:
    """Read a picture as `open_photo` does, and return remarks on what was done to it, such as "turned upright"."""
    inside = not isinstance(path, Path | str)
    name, source = ("the content", io.BytesIO(path)) if inside else (printable(path), path)
    with quiet():
        try:
            with Image.open(source, formats=_formats()) as image:
                _check_size(image, name)
                if at_least is not None:
                    image.draft("RGB", (at_least, at_least))
                image.load()
                return to_rgb(image)
        except PhotoError:
            raise
        except UnidentifiedImageError as error:
            raise NotAnImageError(_not_an_image(path, name)) from error
        except Image.DecompressionBombError as error:
            raise TooLargeError(f"{name} was refused: {error} Make the picture smaller, or leave it out.") from error
        except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
            raise UnreadableError(
                f"could not read {name}: {error.strerror}. Expected a picture; check the name and who may read it."
            ) from error
        except Exception as error:  # decoders raise errors of many kinds for broken data
            what = str(error) or type(error).__name__
            raise PhotoError(
                f"{name} opens but does not decode: {what}. Copy it again from where it came, or leave it out."
            ) from error


def to_rgb(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    """Turn an opened picture of any mode into a new, upright RGB picture, with remarks on what was done."""
    remarks = [COLOURS[image.mode]] if image.mode in COLOURS else []
    turn = UPRIGHT.get(_orientation(image))
    if image.mode.startswith(("I", "F")):
        remarks.append(DEEP)
        image = _to_bytes(image)
    elif image.has_transparency_data:
        remarks.append(TRANSPARENT)
        image = _on_white(image)
    elif image.mode not in (*COLOURS, "RGB"):
        remarks.append(image.mode)  # CMYK, YCbCr, LAB, HSV
    if turn is not None:
        remarks.append(TURNED)
        image = image.transpose(turn)
    image = image.convert("RGB")  # a copy, so that nothing hangs on the file
    image.info.clear()  # where and when it was taken does not travel along
    return image, tuple(remarks)


def printable(path: Path | str) -> str:
    """Return a path as text that can be printed, also where a file name is not valid in the system's encoding."""
    return str(path).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def reading_threads() -> int:
    """Return in how many threads photographs are best read: one for every core that this process may use, at most 4."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_THREADS)


_lock = threading.Lock()
_inside, _filters = 0, None


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence Pillow's warnings about odd files while any thread is inside; everything worth saying is raised.

    Python's own `catch_warnings` is not made for threads: the first to leave would undo what the second set up.
    """
    global _inside, _filters
    with _lock:
        if _inside == 0:
            _filters = warnings.catch_warnings()
            _filters.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\.")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _filters.__exit__(None, None, None)


@functools.cache
def _formats() -> tuple[str, ...]:
    """Name the formats that are read, HEIF among them where pillow-heif is installed."""
    if "HEIF" not in Image.OPEN:
        with contextlib.suppress(ImportError):
            from pillow_heif import register_heif_opener

            register_heif_opener()
    if "QOI" not in Image.OPEN:
        Image.init()  # registers every format of Pillow, once
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _check_size(image: Image.Image, name: str) -> None:
    if image.width * image.height > LARGEST:
        raise TooLargeError(
            f"{name} was refused: it says that it has {image.width:,} x {image.height:,} pixels, but at most "
            f"{LARGEST / 1e6:.0f} million are read. Make the picture smaller, or leave it out."
        )


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, or 1 (upright) where the EXIF data is missing or broken."""
    try:
        return image.getexif().get(ORIENTATION, 1)
    except Exception:  # broken EXIF fails in many ways, and is no reason to lose the picture
        return 1


def _on_white(image: Image.Image) -> Image.Image:
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)


def _to_bytes(image: Image.Image) -> Image.Image:
    """Bring one channel of large numbers to 0..255: by the range of 16 bits, of bytes, or of 0..1 for fractions."""
    values = np.asarray(image).astype(np.float64)
    values = np.nan_to_num(values, nan=0.0, posinf=values[np.isfinite(values)].max(initial=0.0), neginf=0.0)
    top = values.max(initial=0.0)
    if image.mode.startswith("I;16") or top > 255:
        values = values / max(top / 255, 257) if top > 65535 else values / 257
    elif image.mode == "F" and top <= 1:
        values = values * 255
    return Image.fromarray(values.clip(0, 255).round().astype(np.uint8))


def _not_an_image(path: Source, name: str) -> str:
    """Say what a file begins with, and what to do about the formats that people really meet."""
    with contextlib.suppress(OSError):
        with open(path, "rb") if isinstance(path, Path | str) else io.BytesIO(path) as file:
            start = file.read(12)
        if not start:
            return f"{name} is empty. Expected a picture; copy it again from where it came."
        if start[4:8] == b"ftyp" and start[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
            return f"{name} is a HEIC photograph. Save it as JPEG, or install the package pillow-heif and try again."
        begins = f"it begins with the bytes {start[:4].hex(' ')}, like no format of pictures"
        return f"{name} is not a picture: {begins}. Expected a JPEG, PNG, WebP, TIFF, GIF or the like."
    return f"{name} could not be read. Expected a picture."
