"""Reading one photograph: whatever the file is, an upright RGB picture comes out, or an error that says why not."""

import contextlib
import functools
import io
import logging
import os
import re
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from PIL import Image, PngImagePlugin, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from tlcourse.storage import StorageError

Source = Path | str | bytes | bytearray | memoryview  # a file, or its content, as a browser's upload gives it
LARGEST = 120_000_000  # pixels: the largest photographs of telephones have 108 million; in memory this is 360 MB
# Formats that hold a picture. Left out are those that start another program to be read (EPS) or hold data (GRIB).
FORMATS = (
    *("AVIF", "BMP", "DDS", "DIB", "GIF", "HEIF", "ICNS", "ICO", "JPEG", "JPEG2000", "MPO"),
    *("PCX", "PNG", "PPM", "PSD", "QOI", "SGI", "TGA", "TIFF", "WEBP"),
)
SMALLER = "Make the picture smaller, or leave it out."
MOST_NARROW = 100  # times as long as wide; of more, a square cut from the middle shows nothing
OVERSHOOT = 0.25  # so far below 0 or above 1 fractions may lie
BEGINNINGS = {
    **{b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"RIFF": "WebP", b"GIF8": "GIF"},
    **{b"II*\0": "TIFF", b"MM\0*": "TIFF"},
}
NO_PICTURES = {
    b"<": "a web page or a drawing in SVG",
    b"%PDF": "a PDF document",
    b"version http": "a note of Git LFS, which stands for the file; fetch it with git lfs pull",
}
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
MOST_THREADS = 4  # more seldom help: the disk or the network is then the slower part
ORIENTATION, SUBFILE, PHOTOMETRIC = 274, 254, 262  # numbers of fields in EXIF and TIFF
UPRIGHT = {  # what brings a picture of this EXIF orientation upright; 1 is upright already
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
TURNED, TRANSPARENT, GREY, PALETTE = "turned upright", "transparent", "grey", "palette"
DEEP, FRACTIONS, FIRST = "16 bits a colour", "fractions", "first of several pictures"
PngImagePlugin.MAX_TEXT_CHUNK = 64 << 20  # texts and profiles, which are thrown away; sound pictures have long ones
logging.getLogger("PIL").addHandler(logging.NullHandler())  # its words would stand in between; we raise what matters
COLOURS = {"1": GREY, "L": GREY, "LA": GREY, "La": GREY, "P": PALETTE, "PA": PALETTE}


class PhotoError(StorageError):
    """A file is not a picture that can be read; `kind` is one of `findings.KINDS`."""

    def __init__(self, message: str, kind: str = "corrupt file") -> None:
        super().__init__(message)
        self.kind = kind


class Decoded(NamedTuple):
    """A picture, and what was done to it."""

    image: Image.Image  # upright RGB
    remarks: tuple[str, ...]  # such as "turned upright"
    values: tuple[float, float] | None = None  # lowest and highest, where they were more than 8 bits


def open_photo(path: Source, at_least: int | None = None) -> Image.Image:
    """Read a picture of any common format as upright RGB, free of its file; its content may be given instead of a path.

    A rotation noted in EXIF is carried out, grey becomes three equal channels, palettes and CMYK are turned into RGB,
    and what is transparent is laid on white. Whole numbers of more than 8 bits are read with 65,535 as white, fractions
    with 1; where a file says that 0 is white, so it is. Of an animation or several pages, the first is taken. With
    `at_least`, large JPEG files are read several times faster: the shorter side may come out smaller, but not below
    that number of pixels. JPEG files of over 120 million pixels come out at a reduced scale. Raises PhotoError:
    missing, no picture, incomplete, over 120 million pixels, over 100 times as long as wide, or with values out of
    range.
    """
    return decode(path, at_least).image


def decode(path: Source, at_least: int | None = None) -> Decoded:
    """Read a picture as `open_photo` does, and return remarks on what was done to it."""
    inside = not isinstance(path, Path | str)
    name = "the content" if inside else printable(path)
    try:
        with quiet(), io.BytesIO(path) if inside else open(path, "rb") as file, _opened(file, name) as image:
            _check_shape(image, name)
            _check_whole(image, name)
            _reduce(image, at_least, name)
            several = image.format not in ("MPO", "PSD") and getattr(image, "is_animated", False)
            image.load()
            found = to_rgb(image, name)
            return found._replace(remarks=(*found.remarks, FIRST)) if several else found
    except PhotoError:
        raise
    except Exception as error:  # decoders raise errors of many kinds for broken data
        if isinstance(error, OSError) and error.errno:  # from the system, not from a decoder
            raise PhotoError(
                f"could not read {name}: {error.strerror}. Expected a picture; check the name and who may read it.",
                "unreadable",
            ) from error
        what = str(error) or type(error).__name__
        raise PhotoError(
            f"{name} opens but does not decode: {what}. Copy it again from where it came, or leave it out."
        ) from error


def to_rgb(image: Image.Image, name: str = "the picture") -> Decoded:
    """Turn an opened picture of any mode into a new, upright RGB picture; PhotoError where values are out of range."""
    remarks, values = [COLOURS[image.mode]] if image.mode in COLOURS else [], None
    turn = UPRIGHT.get(_orientation(image))
    if image.mode.startswith(("I", "F")):
        remarks.append(FRACTIONS if image.mode == "F" else DEEP)
        image, values = _to_bytes(image, name)
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
    return Decoded(image, tuple(remarks), values)


def printable(path: Path | str) -> str:
    r"""Return a path as text for one line; bytes that are no UTF-8 and control characters become escapes as `\xe4`."""
    text = str(path).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


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


def _opened(file: IO[bytes], name: str) -> Image.Image:
    """Open a picture without decoding it."""
    try:
        return Image.open(file, formats=_formats())
    except UnidentifiedImageError as error:
        file.seek(0)
        raise _not_an_image(file.read(12), name) from error
    except Image.DecompressionBombError as error:
        file.seek(0)
        with contextlib.suppress(SyntaxError):  # what it raises for anything but JPEG
            return JpegImageFile(file)
        raise PhotoError(f"{name} was refused: {error} {SMALLER}", "too large") from error


def _check_shape(image: Image.Image, name: str) -> None:
    if max(image.size) > MOST_NARROW * min(image.size):
        raise PhotoError(
            f"{name} was refused: it has {image.width:,} x {image.height:,} pixels, and a picture at most "
            f"{MOST_NARROW} times as long as wide was expected. Crop it, or leave it out.",
            "too narrow",
        )


def _check_whole(image: Image.Image, name: str) -> None:
    if getattr(image, "tag_v2", {}).get(SUBFILE, 0) & 1:
        raise PhotoError(
            f"{name} is a raw photograph, or another file that begins with a small preview, and only that would be "
            "read. Save it as JPEG, TIFF or PNG."
        )


def _reduce(image: Image.Image, at_least: int | None, name: str) -> None:
    """Choose a reduced scale for a large JPEG; refuse more pixels than are read. Few bytes can claim very many."""
    width, height = image.size
    if at_least is not None or width * height > LARGEST:
        image.draft("RGB", (at_least or 1, at_least or 1))
    decoded = (width, height) if image.info.get("progressive") else image.size  # which is decoded whole all the same
    if decoded[0] * decoded[1] > LARGEST:
        raise PhotoError(
            f"{name} was refused: it says that it has {width:,} x {height:,} pixels, but at most "
            f"{LARGEST / 1e6:.0f} million are read. {SMALLER}",
            "too large",
        )


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, or 1 (upright) where the EXIF data is missing or broken."""
    try:
        return image.getexif().get(ORIENTATION, 1)
    except Exception:  # broken EXIF fails in many ways, and is no reason to lose the picture
        return 1


def _on_white(image: Image.Image) -> Image.Image:
    layer = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)


def _to_bytes(image: Image.Image, name: str) -> tuple[Image.Image, tuple[float, float]]:
    """Bring one channel of large numbers or fractions to 0..255 by what their type can hold, never by their own range.

    Fractions may lie a little below 0 or above 1, as sharpening leaves them; they are cut off there.
    """
    fractions = image.mode == "F"
    top, slack = (1, OVERSHOOT) if fractions else (65535, 0)
    values = np.asarray(image).astype(np.float32)
    finite = values[np.isfinite(values)]
    low, high = float(finite.min(initial=0)), float(finite.max(initial=0))
    if low < -slack or high > top + slack:
        raise PhotoError(
            f"{name} was refused: its values go from {low:,g} to {high:,g}, but in a picture of "
            f"{'fractions' if fractions else 'more than 8 bits'}, 0 is black and {top:,} is white. Save it with 8 bits "
            "a colour.",
            "out of range",
        )
    values = np.nan_to_num(values, nan=0.0, posinf=top, neginf=0.0) * (255 / top)
    if getattr(image, "tag_v2", {}).get(PHOTOMETRIC) == 0:  # of fewer bits, Pillow inverts it
        values = 255 - values
    return Image.fromarray(values.clip(0, 255).round().astype(np.uint8)), (low, high)


def _not_an_image(start: bytes, name: str) -> PhotoError:
    """Say what a file begins with, and what to do about the formats that people really meet."""
    form = next((form for beginning, form in BEGINNINGS.items() if start.startswith(beginning)), None)
    if form is not None:
        what = f"is a {form} file that is broken or of a rare kind, such as one with more than four colours"
        return PhotoError(f"{name} {what}. Save it again as a usual one, or leave it out.")
    if not start:
        what = "is empty. Expected a picture; copy it again from where it came."
    elif start[4:8] == b"ftyp" and start[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"hevc"):
        what = "is a HEIC photograph. Save it as JPEG, or install the package pillow-heif and try again."
    else:
        begins = f"it begins with the bytes {start[:4].hex(' ')}, like no format of pictures"
        begins = next((what for known, what in NO_PICTURES.items() if start.startswith(known)), begins)
        what = f"is not a picture: {begins}. Expected a JPEG, PNG, WebP, TIFF, GIF or the like."
    return PhotoError(f"{name} {what}", "not an image")
