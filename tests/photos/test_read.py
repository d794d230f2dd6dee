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
from PIL import Image, ImageCms, ImageOps, PngImagePlugin, TiffImagePlugin, features

from tlcourse.photos import read as photo_files
from tlcourse.photos.read import PhotoError, decode, open_photo, printable, to_rgb


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
        read, remarks, _ = decode(data)
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
        read, remarks, _ = decode(encoded(image, "PNG"))
        assert (pixels(read) == pixels(image.convert("RGB"))).all()
        assert remarks == (remark,)
    assert set(np.unique(open_photo(encoded(grey.convert("1"), "PNG")))) == {0, 255}
    assert open_photo(encoded(Image.new("LAB", (4, 4), (255, 128, 128)), "TIFF")).getpixel((0, 0)) > (250, 250, 250)
    half_transparent_ink = open_photo(encoded(Image.new("RGBA", (2, 2), (0, 0, 0, 128)), "PNG"))
    assert np.abs(pixels(half_transparent_ink) - 127).max() <= 1
    for form in ("JPEG", "TIFF"):
        read, remarks, _ = decode(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), form))
        assert np.abs(pixels(read)[8, 8] - (255, 0, 0)).max() < 12  # magenta and yellow print red
        assert remarks == ("CMYK",)


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
    read, remarks, _ = decode(data)
    assert (pixels(read)[:, :2] == 255).all()
    assert not (pixels(read)[:, 2:] == 255).all()
    assert "transparent" in remarks


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("form", ["TIFF", "PNG"])
@pytest.mark.parametrize(
    ("kind", "values", "expected", "span"),
    [
        (np.uint16, [0, 257, 25700, 65535], [0, 1, 100, 255], (0, 65535)),
        (np.uint16, [0, 200, 250, 255], [0, 1, 1, 1], (0, 255)),  # dark, whatever its brightest pixel is
        (np.int32, [0, 257, 257, 256], [0, 1, 1, 1], (0, 257)),
        (np.float32, [0, 0.5, 1, 1], [0, 128, 255, 255], (0, 1)),
        (np.float32, [0, 0.5, 1, 1.004], [0, 128, 255, 255], (0, 1.004)),
        (np.float32, [-0.2, 0.5, 1.2, 0.1], [0, 128, 255, 26], (-0.2, 1.2)),  # sharpened
        (np.float32, [0, 0.1, 0.1, 0.2], [0, 26, 26, 51], (0, 0.2)),
        (np.float32, [NAN, 0.5, INF, -INF], [0, 128, 255, 0], (0, 0.5)),
    ],
)
def test_deep_values_are_read_by_what_their_type_can_hold(form, kind, values, expected, span):
    if form == "PNG" and kind is not np.uint16:
        return
    read, remarks, found = decode(encoded(Image.fromarray(np.array([values], dtype=kind)), form))
    assert pixels(read)[0, :, 0].tolist() == expected
    assert remarks == ("fractions" if kind is np.float32 else "16 bits a colour",)
    assert found == pytest.approx(span)


@pytest.mark.parametrize(
    ("kind", "values"),
    [(np.float32, [0, 255]), (np.float32, [-1, 1]), (np.int32, [0, 65536]), (np.int32, [-1000, 3000])],
)
def test_values_of_another_range_are_refused(tmp_path, kind, values):
    image = Image.fromarray(np.array([values], dtype=kind))
    image.save(tmp_path / "x.tif")
    with pytest.raises(PhotoError, match=rf"x\.tif was refused: its values go from {min(values):,} to {max(values):,}"):
        open_photo(tmp_path / "x.tif")
    with pytest.raises(PhotoError, match="the picture was refused"):
        to_rgb(image)


@pytest.mark.parametrize(("form", "options"), [("WEBP", {"lossless": True}), ("TIFF", {}), ("PNG", {})])
def test_of_several_pictures_the_first_is_taken(form, options):
    frames = [picture(seed).convert("RGB") for seed in range(3)]
    data = encoded(frames[0], form, save_all=True, append_images=frames[1:], **options)
    read, remarks, _ = decode(data)
    assert (pixels(read) == pixels(frames[0])).all()
    assert remarks == ("first of several pictures",)


def test_where_zero_is_white_the_picture_is_no_negative():
    fields = TiffImagePlugin.ImageFileDirectory_v2()
    fields[photo_files.PHOTOMETRIC] = 0
    stored = Image.fromarray(np.array([[0, 25700, 65535]], np.uint16))
    assert pixels(open_photo(encoded(stored, "TIFF", tiffinfo=fields)))[0, :, 0].tolist() == [255, 155, 0]


def preview():
    fields = TiffImagePlugin.ImageFileDirectory_v2()
    fields[photo_files.SUBFILE] = 1
    return encoded(picture(), "TIFF", tiffinfo=fields)


@pytest.mark.parametrize("mode", ["La", "RGBa", "PA", "HSV", "RGBX", "YCbCr", "I;16B", "LAB", "1"])
def test_odd_modes_in_memory_become_rgb(mode):
    by_way_of = {"La": "LA", "RGBa": "RGBA", "I;16B": "I", "LAB": None, "PA": None}.get(mode, "RGB")
    image = Image.new(mode, (4, 4)) if by_way_of is None else picture().convert("L").convert(by_way_of).convert(mode)
    assert to_rgb(image).image.mode == "RGB"


def test_large_jpeg_files_may_come_smaller_but_not_too_small(monkeypatch):
    data = encoded(picture(width=1600, height=1200), "JPEG")
    assert open_photo(data).size == (1600, 1200)
    assert open_photo(data, at_least=200).size == (400, 300)
    assert open_photo(data, at_least=700).size == (1600, 1200)
    monkeypatch.setattr(photo_files, "LARGEST", 200_000)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 150_000)  # above twice that, Pillow raises an error
    assert open_photo(data).size == (200, 150)
    assert open_photo(data, at_least=300).size == (400, 300)
    for too_large in (data, encoded(picture(width=1600, height=1200), "JPEG", progressive=True)):
        with pytest.raises(PhotoError, match="1,600 x 1,200 pixels") as raised:
            open_photo(too_large, at_least=700)
        assert raised.value.kind == "too large"


def test_long_texts_and_profiles_do_no_harm():
    texts, profile = PngImagePlugin.PngInfo(), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    texts.add_text("recipe", "x" * 2_000_000, zip=True)
    data = encoded(picture(), "PNG", pnginfo=texts, icc_profile=profile + bytes(3_000_000))
    assert (pixels(open_photo(data)) == pixels(picture())).all()


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png_that_claims(side):
    """A valid header of a huge picture, with next to nothing behind it."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def tiff_of_bands(bands):
    """A sound TIFF file of 4 x 4 pixels with that many colours."""
    tags = [(256, 4), (257, 4), (258, 8), (259, 1), (262, 1), (273, 114), (277, bands), (278, 4), (279, 16 * bands)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + bytes(16 * bands)


TOO_LARGE = r"was refused.*pixels.*Make the picture smaller"


@pytest.mark.parametrize(
    ("data", "kind", "says"),
    [
        (b"", "not an image", "is empty"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(20), "not an image", "HEIC photograph. Save it as JPEG"),
        (b"these are words, no picture", "not an image", "begins with the bytes 74 68 65 73"),
        (b"<!DOCTYPE html><html>", "not an image", "is not a picture: a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "not an image", "Git LFS.*git lfs pull"),
        (preview(), "corrupt file", "is a raw photograph, or another file that begins with a small preview"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image", "is not a picture"),
        (tiff_of_bands(13), "corrupt file", "is a TIFF file that is broken or of a rare kind, such as one with more"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "corrupt file", "is a PNG file that is broken"),
        (encoded(picture(), "PNG")[:-30], "corrupt file", "opens but does not decode"),
        (encoded(picture(width=400, height=300), "JPEG")[:2000], "corrupt file", "opens but does not decode"),
        (encoded(Image.new("RGB", (2400, 2)), "PNG"), "too narrow", "2,400 x 2 pixels.*100 times as long as wide"),
        (png_that_claims(11_000), "too large", TOO_LARGE),  # above the course's limit
        (png_that_claims(13_000), "too large", TOO_LARGE),  # Pillow would warn
        (png_that_claims(60_000), "too large", TOO_LARGE),  # Pillow would raise an error
        (Path("gone.jpg"), "unreadable", r"could not read .*gone\.jpg: No such file"),
        (Path("x" * 300 + ".jpg"), "unreadable", "could not read x.*name too long"),
        (Path(__file__).parent, "unreadable", "could not read"),
    ],
)
def test_what_cannot_be_read_says_why(data, kind, says):
    with pytest.raises(PhotoError, match=says) as raised:
        open_photo(data)
    assert raised.value.kind == kind


def test_names_are_printed_in_one_line_and_stay_different():
    names = ["é\udce4", "é\udcf6", "a\nb", "a\x1b[31mb", "a\u2028b", "梨 👨‍👩‍👧"]
    assert [printable(name) for name in names[:3]] == ["é\\xe4", "é\\xf6", "a\\nb"]
    assert len({printable(name) for name in names}) == 6
    assert all(len(printable(name).splitlines()) == 1 for name in names)
    assert printable(names[-1]) == names[-1]


def test_threads_leave_the_warnings_as_they_were():
    before = list(warnings.filters)
    data = encoded(picture(), "PNG")
    threads = [threading.Thread(target=lambda: [open_photo(data) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before
