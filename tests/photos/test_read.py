"""Reading one photograph: any file becomes upright RGB or a reason."""

import io
import struct
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from pictures import encoded, pixels
from pictures import picture as any_picture
from PIL import Image, ImageOps, features

from tlcourse.photos import read as photo_files
from tlcourse.photos.read import NotAnImageError, PhotoError, TooLargeError, UnreadableError, decode, open_photo


def picture(seed=0, width=24, height=16):
    return any_picture(seed, width, height)


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM", "TGA", "QOI", "PCX", "SGI", "DDS", "ICO"])
def test_formats_without_loss_come_back_pixel_for_pixel(form):
    options = {"sizes": [(24, 16)]} if form == "ICO" else {}
    assert (pixels(open_photo(encoded(picture(), form, **options))) == pixels(picture())).all()


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "GIF", "JPEG2000", "AVIF"])
def test_formats_with_loss_come_back_about_the_same(form):
    if form == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow was built without AVIF")
    read = open_photo(encoded(picture(width=240, height=160), form))
    assert read.mode == "RGB"
    assert np.abs(pixels(read) - pixels(picture(width=240, height=160))).mean() < 9


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_a_rotation_noted_in_exif_is_carried_out(form):
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[photo_files.ORIENTATION] = orientation
        data = encoded(picture(), form, exif=exif)
        with Image.open(io.BytesIO(data)) as image:
            expected = ImageOps.exif_transpose(image.copy() if form == "TIFF" else image).convert("RGB")
        read, remarks = decode(data)
        assert read.size == ((24, 16) if orientation < 5 else (16, 24))
        assert (pixels(read) == pixels(expected)).all()
        assert not read.info
        if form != "TIFF":  # Pillow turns TIFF files itself
            assert ("turned upright" in remarks) == (orientation > 1)
    broken = encoded(picture(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff\xff\xff")
    assert open_photo(broken).size == (24, 16)


def test_every_mode_becomes_rgb():
    grey, palette = picture().convert("L"), picture().quantize(8)
    for image, remark in ((grey, "grey"), (palette, "palette")):
        read, remarks = decode(encoded(image, "PNG"))
        assert (pixels(read) == pixels(image.convert("RGB"))).all()
        assert remarks == (remark,)
    black_and_white = open_photo(encoded(grey.convert("1"), "PNG"))
    assert set(np.unique(black_and_white)) == {0, 255}
    assert open_photo(encoded(Image.new("LAB", (4, 4), (255, 128, 128)), "TIFF")).getpixel((0, 0)) > (250, 250, 250)
    assert open_photo(encoded(picture().convert("YCbCr"), "JPEG")).mode == "RGB"
    half_transparent_ink = open_photo(encoded(Image.new("RGBA", (2, 2), (0, 0, 0, 128)), "PNG"))
    assert np.abs(pixels(half_transparent_ink) - 127).max() <= 1


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "RGB", "L"])
def test_what_is_transparent_is_laid_on_white(mode):
    half = Image.new("RGBA", (4, 2), (255, 0, 0, 255))
    half.paste((0, 255, 0, 0), (0, 0, 2, 2))  # green, hidden behind full transparency
    if mode in ("RGBA", "LA"):
        data = encoded(half.convert(mode), "PNG")
    elif mode == "P":
        data = encoded(half.quantize(4), "PNG")
    else:  # one colour is declared to be transparent
        opaque = Image.new(mode, (4, 2), 100 if mode == "L" else (100, 0, 0))
        opaque.paste(7 if mode == "L" else (7, 7, 7), (0, 0, 2, 2))
        data = encoded(opaque, "PNG", transparency=7 if mode == "L" else (7, 7, 7))
    read, remarks = decode(data)
    assert (pixels(read)[:, :2] == 255).all()
    assert not (pixels(read)[:, 2:] == 255).all()
    assert "transparent" in remarks


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk_is_turned_into_light(form):
    ink = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # magenta and yellow print red
    read, remarks = decode(encoded(ink, form))
    assert np.abs(pixels(read)[8, 8] - (255, 0, 0)).max() < 12
    assert remarks == ("CMYK",)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_are_brought_down_to_eight(form):
    deep = np.array([[0, 257, 25700, 65535]], dtype=np.uint16)
    read, remarks = decode(encoded(Image.fromarray(deep), form))
    assert pixels(read)[0, :, 0].tolist() == [0, 1, 100, 255]
    assert remarks == ("16 bits a colour",)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5, 1.0, 1.0], [0, 128, 255, 255]),  # fractions
        ([0.0, 10.0, 200.0, 255.0], [0, 10, 200, 255]),  # bytes
        ([0.0, 257.0, 65535.0, 65535.0], [0, 1, 255, 255]),  # 16 bits
        ([0.0, 5e5, 1e6, 1e6], [0, 128, 255, 255]),  # more
        ([-3.0, float("nan"), float("inf"), 100.0], [0, 0, 100, 100]),
    ],
)
def test_numbers_with_a_fraction_are_scaled_by_their_range(values, expected):
    read = open_photo(encoded(Image.fromarray(np.array([values], dtype=np.float32)), "TIFF"))
    assert pixels(read)[0, :, 0].tolist() == expected


def test_of_an_animation_the_first_frame_is_taken():
    frames = [picture(seed).convert("RGB") for seed in range(3)]
    data = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert (pixels(open_photo(data)) == pixels(frames[0])).all()


def test_large_jpeg_files_may_come_smaller_but_not_too_small():
    data = encoded(picture(width=1600, height=1200), "JPEG")
    assert open_photo(data).size == (1600, 1200)
    assert open_photo(data, at_least=200).size == (400, 300)
    assert open_photo(data, at_least=700).size == (1600, 1200)


def png_that_claims(side):
    """A valid header of a huge picture, with next to nothing behind it."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


TOO_LARGE = r"was refused.*pixels.*Make the picture smaller"


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        (b"", NotAnImageError, "is empty"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(20), NotAnImageError, "HEIC photograph. Save it as JPEG"),
        (b"these are words, no picture", NotAnImageError, "begins with the bytes 74 68 65 73"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", NotAnImageError, "is not a picture"),
        (encoded(picture(), "PNG")[:-30], PhotoError, "opens but does not decode"),
        (encoded(picture(width=400, height=300), "JPEG")[:2000], PhotoError, "opens but does not decode"),
        (png_that_claims(11_000), TooLargeError, TOO_LARGE),  # above the course's limit
        (png_that_claims(13_000), TooLargeError, TOO_LARGE),  # Pillow would warn
        (png_that_claims(60_000), TooLargeError, TOO_LARGE),  # Pillow would raise an error
        (Path("gone.jpg"), UnreadableError, r"could not read .*gone\.jpg: No such file"),
        (Path(__file__).parent, PhotoError, "could not read"),
    ],
)
def test_what_cannot_be_read_says_why(data, error, says):
    with pytest.raises(error, match=says):
        open_photo(data)


def test_threads_leave_the_warnings_as_they_were():
    before = list(warnings.filters)
    data = encoded(picture(), "PNG")
    threads = [threading.Thread(target=lambda: [open_photo(data) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before
