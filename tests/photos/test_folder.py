"""Photographs: any file becomes upright RGB or a reason; a set of them is split, batched and kept safely."""

import io
import os
import pickle
import struct
import sys
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps, features

import tlcourse as tl
from tlcourse.data.splits import shared_groups, stratified_group_split
from tlcourse.photos import loader as photo_loader
from tlcourse.photos import read as photo_files
from tlcourse.photos.folder import (
    PhotoError,
    PhotoSet,
    inspect,
    open_photo,
    photo_augmentation,
    scan,
    suitable_workers,
    write_image_folder,
)
from tlcourse.photos.image_folder import folder_names
from tlcourse.photos.photoset import first_of_each, middle_square
from tlcourse.photos.read import NotAnImageError, TooLargeError, UnreadableError, decode

REAL = Path(os.environ.get("TLCOURSE_REAL_DATA", "not set"))
needs_photographs = pytest.mark.skipif(
    not (REAL / "groceries").is_dir(), reason="TLCOURSE_REAL_DATA does not name a folder with groceries"
)


def picture(seed=0, width=24, height=16):
    """A picture of smooth random colours."""
    coarse = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def pixels(image):
    return np.asarray(image).astype(int)


def tensor(image):
    return torch.from_numpy(np.array(image.resize((8, 8)))).permute(2, 0, 1).float()


# one file


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
    assert np.abs(pixels(read) - pixels(picture(width=240, height=160))).mean() < 6


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_rotation_noted_in_exif_is_carried_out(form, orientation):
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


def test_broken_exif_does_not_lose_the_picture():
    data = encoded(picture(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff\xff\xff")
    assert open_photo(data).size == (24, 16)


def test_grey_becomes_three_equal_channels():
    grey = picture().convert("L")
    read, remarks = decode(encoded(grey, "PNG"))
    assert (pixels(read) == pixels(grey)[..., None]).all()
    assert remarks == ("grey",)
    black_and_white = open_photo(encoded(grey.convert("1"), "PNG"))
    assert set(np.unique(black_and_white)) == {0, 255}


def test_palettes_give_their_colours():
    palette = picture().quantize(8)
    read, remarks = decode(encoded(palette, "PNG"))
    assert (pixels(read) == pixels(palette.convert("RGB"))).all()
    assert remarks == ("palette",)


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


def test_half_transparent_ink_is_mixed_with_white():
    read = open_photo(encoded(Image.new("RGBA", (2, 2), (0, 0, 0, 128)), "PNG"))
    assert np.abs(pixels(read) - 127).max() <= 1


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk_is_turned_into_light(form):
    ink = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # magenta and yellow print red
    read, remarks = decode(encoded(ink, form))
    assert np.abs(pixels(read)[8, 8] - (255, 0, 0)).max() < 12
    assert remarks == ("CMYK",)


def test_lab_and_luma_are_turned_into_rgb():
    assert open_photo(encoded(Image.new("LAB", (4, 4), (255, 128, 128)), "TIFF")).getpixel((0, 0)) > (250, 250, 250)
    assert open_photo(encoded(picture().convert("YCbCr"), "JPEG")).mode == "RGB"


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


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        (b"", NotAnImageError, "is empty"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(20), NotAnImageError, "HEIC photograph. Save it as JPEG"),
        (b"these are words, no picture", NotAnImageError, "begins with the bytes 74 68 65 73"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", NotAnImageError, "is not a picture"),
        (encoded(picture(), "PNG")[:-30], PhotoError, "opens but does not decode"),
        (encoded(picture(width=400, height=300), "JPEG")[:2000], PhotoError, "opens but does not decode"),
    ],
)
def test_what_cannot_be_read_says_why(data, error, says):
    with pytest.raises(error, match=says):
        open_photo(data)


def png_that_claims(width, height):
    """A valid header of a huge picture, with next to nothing behind it."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [11_000, 13_000, 60_000])  # above this limit, Pillow's warning, Pillow's error
def test_bombs_are_refused_before_they_are_decoded(side):
    with pytest.raises(TooLargeError, match=r"was refused.*pixels.*Make the picture smaller"):
        open_photo(png_that_claims(side, side))


def test_a_missing_file_and_a_folder_are_told_apart_from_pictures(tmp_path):
    with pytest.raises(UnreadableError, match=r"could not read .*gone\.jpg: No such file"):
        open_photo(tmp_path / "gone.jpg")
    with pytest.raises(PhotoError, match="could not read"):
        open_photo(tmp_path)


def test_threads_leave_the_warnings_as_they_were():
    before = list(warnings.filters)
    data = encoded(picture(), "PNG")
    threads = [threading.Thread(target=lambda: [open_photo(data) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before


# a set of files


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve pictures of two classes, eight and four."""
    root = tmp_path_factory.mktemp("photographs")
    for i in range(12):
        path = root / ("apples" if i < 8 else "pears") / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        picture(i, 40, 30).save(path)
    return root


@pytest.fixture(scope="module")
def photos(folder):
    return inspect(scan(folder), progress=False).photos


def set_of(labels, groups=None):
    labels = torch.tensor(labels)
    groups = torch.arange(len(labels)) if groups is None else torch.tensor(groups)
    paths = tuple(Path(f"{i}.png") for i in range(len(labels)))
    return PhotoSet(paths, labels, tuple("abcdef"[: int(labels.max()) + 1]), groups)


def test_a_set_says_what_is_in_it(photos, folder):
    assert repr(photos) == f"PhotoSet({folder.name!r}: 12 photographs, 2 classes)"
    assert photos.counts() == {"apples": 8, "pears": 4}
    assert photos.open(0).size == (40, 30)


def test_a_subset_takes_indices_or_a_mask(photos):
    assert photos.subset(torch.tensor([3, 1])).paths == (photos.paths[3], photos.paths[1])
    assert photos.subset(photos.labels == 1).counts() == {"apples": 0, "pears": 4}


def test_wrong_labels_and_lengths_are_refused():
    with pytest.raises(ValueError, match=r"1 paths came with labels \[2\]"):
        PhotoSet((Path("a"),), torch.tensor([0, 1]), ("x", "y"), torch.tensor([0]))
    with pytest.raises(ValueError, match="labels go from 0 to 3, but there are 2 classes"):
        PhotoSet((Path("a"), Path("b")), torch.tensor([0, 3]), ("x", "y"), torch.tensor([0, 1]))


def test_splits_are_stratified_and_repeatable(photos):
    first, second = photos.split(0.75, seed=3)
    assert first.counts() == {"apples": 6, "pears": 3}
    assert second.counts() == {"apples": 2, "pears": 1}
    assert not set(first.paths) & set(second.paths)
    assert first.paths == photos.split(0.75, seed=3)[0].paths
    assert first.paths != photos.split(0.75, seed=4)[0].paths


def test_splits_keep_near_duplicates_together():
    labels = [0] * 40 + [1] * 60
    data = set_of(labels, [i // 4 for i in range(100)])
    for seed in range(20):
        first, second = stratified_group_split(data.labels, data.groups, 0.8, tl.generator("t", seed))
        assert len(shared_groups(data.groups, first, second)) == 0
        assert torch.equal(torch.cat([first, second]).sort().values, torch.arange(100))
        assert torch.bincount(data.labels[first]).tolist() == [32, 48]


def test_a_class_that_hangs_together_cannot_be_split():
    with pytest.raises(ValueError, match=r"class number 1 has 3 images, which cannot be on both sides"):
        set_of([0, 0, 0, 1, 1, 1], [0, 1, 2, 9, 9, 9]).split(0.5)
    with pytest.raises(ValueError, match="fraction is 1"):
        set_of([0, 0, 1, 1]).split(1.0)


def test_few_takes_no_two_near_duplicates():
    data = set_of([0] * 6 + [1] * 6, [0, 0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8])
    for seed in range(10):
        few = data.few(3, seed)
        assert few.counts() == {"a": 3, "b": 3}
        assert len(few.groups.unique()) == 6
    with pytest.raises(ValueError, match="has 3 images"):
        data.few(4)
    assert first_of_each(torch.tensor([5, 2, 5, 2, 9])).tolist() == [0, 1, 4]


def test_class_weights_give_every_class_the_same_say():
    data = set_of([0] * 30 + [1] * 10 + [3] * 20)
    weights = data.class_weights()
    assert weights.dtype == torch.float32
    assert weights[2] == 0
    shares = weights * torch.bincount(data.labels)
    assert torch.allclose(shares[[0, 1, 3]], torch.tensor(20.0))
    assert weights[data.labels].mean() == pytest.approx(1)


def test_a_set_in_memory_holds_the_middle_of_every_picture(photos):
    data = photos.resident(16)
    assert data.images.shape == (12, 3, 16, 16)
    assert torch.equal(data.labels, photos.labels)
    square = photos.open(2).crop((5, 0, 35, 30)).resize((16, 16), Image.Resampling.BICUBIC)
    assert np.abs(pixels(square) - data.images[2].permute(1, 2, 0).numpy()).max() <= 2  # rounded in another order
    assert middle_square(Image.new("RGB", (7, 100)), 5).size == (5, 5)
    with pytest.raises(ValueError, match=r"12 photographs of 20000x20000 pixels take 14.4 GB"):
        photos.resident(20_000)


# batches


def epoch(loader):
    batches = list(loader)
    return torch.cat([x for x, _ in batches]), torch.cat([y for _, y in batches])


def test_without_augmentation_batches_are_the_photographs_in_order(photos):
    x, y = epoch(photos.loader(tensor, 5, workers=0))
    assert torch.equal(y, photos.labels)
    assert torch.equal(x, torch.stack([tensor(photos.open(i)) for i in range(12)]))
    assert [len(b) for b, _ in photos.loader(tensor, 5, workers=0)] == [5, 5, 2]
    assert x.dtype == torch.float32
    assert y.dtype == torch.int64


def test_epochs_differ_and_can_be_repeated(photos):
    loader = photos.loader(tensor, 4, augment=True, seed=1, workers=0)
    first, second = epoch(loader), epoch(loader)
    assert not torch.equal(first[0], second[0])
    loader.set_epoch(0)
    again = epoch(loader)
    assert torch.equal(again[0], first[0])
    assert torch.equal(again[1], first[1])
    other = epoch(photos.loader(tensor, 4, augment=True, seed=2, workers=0))
    assert not torch.equal(other[0], first[0])


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="starting workers takes seconds here")
def test_the_number_of_workers_changes_nothing(photos):
    alone = photos.loader(tensor, 4, augment=True, workers=0)
    helped = photos.loader(tensor, 4, augment=True, workers=min(2, photo_loader.usable_cores()))
    for _ in range(2):
        a, b = epoch(alone), epoch(helped)
        assert torch.equal(a[0], b[0])
        assert torch.equal(a[1], b[1])


def test_loading_moves_no_random_state(photos):
    before = torch.get_rng_state()
    epoch(photos.loader(tensor, 4, augment=True, balanced=True, workers=0))
    assert torch.equal(before, torch.get_rng_state())


def test_balanced_batches_show_every_class_equally_often():
    order = photo_loader.PhotoOrder(torch.tensor([0] * 900 + [1] * 100), True, True, 0)
    drawn = order.labels[torch.tensor([index for index, _ in order])]
    assert len(drawn) == 1000
    assert 430 < int(drawn.sum()) < 570  # 500 and 4.4 standard deviations
    plain = photo_loader.PhotoOrder(order.labels, True, False, 0)
    assert sorted(index for index, _ in plain) == list(range(1000))


def test_augmentation_can_be_chosen(photos):
    black = photos.loader(tensor, 12, augment=lambda p: Image.new("RGB", p.size), workers=0)
    assert epoch(black)[0].abs().sum() == 0


@pytest.mark.parametrize(("flip", "expected"), [(False, {True}), (True, {True, False})])
def test_mirroring_can_be_switched_off(flip, expected):
    white_on_the_right = Image.new("L", (64, 64))
    white_on_the_right.paste(255, (32, 0, 64, 64))
    change = photo_augmentation(32, flip=flip, smallest=0.9)
    with tl.seeded("flips"):
        changed = [change(white_on_the_right.convert("RGB")) for _ in range(12)]
    assert {c.size for c in changed} == {(32, 32)}
    assert {bool(pixels(c)[16, 31, 0] > pixels(c)[16, 0, 0]) for c in changed} == expected


def test_a_photograph_that_broke_since_names_its_file(folder, tmp_path):
    for i in range(2):
        picture(i).save(tmp_path / f"{i}.png")
    data = PhotoSet((tmp_path / "0.png", tmp_path / "1.png"), torch.tensor([0, 1]), ("a", "b"), torch.arange(2))
    (tmp_path / "1.png").write_bytes(b"gone")
    with pytest.raises(NotAnImageError, match=r"1\.png is not a picture"):
        epoch(data.loader(tensor, 2, workers=0))


def test_loaders_refuse_what_gives_no_batch(photos):
    with pytest.raises(ValueError, match=r"got 0 photographs"):
        photos.subset(torch.tensor([], dtype=torch.int64)).loader(tensor)
    with pytest.raises(ValueError, match=r"batches of 0, -1 workers"):
        photos.loader(tensor, 0, workers=-1)


def test_workers_suit_the_system(monkeypatch):
    monkeypatch.setattr(photo_loader, "usable_cores", lambda: 16)
    for system, expected in (("win32", 0), ("darwin", 0), ("linux", 4)):
        monkeypatch.setattr(sys, "platform", system)
        assert suitable_workers() == expected
    monkeypatch.setattr(photo_loader, "usable_cores", lambda: 1)
    assert suitable_workers() == 0


def test_what_windows_sends_to_a_worker_can_be_sent(photos):
    loader = photos.loader(tensor, 4, augment=True, workers=0)
    key = next(iter(photo_loader.PhotoOrder(photos.labels, False, False, 0)))
    there = pickle.loads(pickle.dumps(loader.dataset))
    assert torch.equal(there[key][0], loader.dataset[key][0])


# an image set as a folder


def test_an_image_set_survives_the_way_through_a_folder(tmp_path):
    data = tl.load("printed", "letters", count=140)  # 35 classes, among them A and a, and Greek letters
    folder = write_image_folder(data, tmp_path / "letters")
    found = scan(folder)
    assert len(found) == 140
    names = folder_names(data.classes)
    assert len({name.casefold() for name in names}) == 35
    where = {name: c for c, name in enumerate(names)}
    for i, (file, label) in enumerate(zip(found.files, found.labels.tolist(), strict=True)):
        original = int(Path(file).stem)
        assert where[found.classes[label]] == data.labels[original]
        if i % 20 == 0:
            assert (pixels(open_photo(folder / file)) == data.images[original].permute(1, 2, 0).numpy()).all()


def test_writing_again_changes_nothing_and_other_files_are_safe(tmp_path):
    images = torch.randint(256, (20, 3, 8, 8), dtype=torch.uint8)
    data = tl.ImageSet(images, torch.arange(20) % 2, ("no", "yes"))
    folder = write_image_folder(data, tmp_path / "digits")
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")}
    assert write_image_folder(data, folder) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")} == times
    with pytest.raises(tl.StorageError, match=r"does not hold these 19 images. Nothing was changed"):
        write_image_folder(data.subset(torch.arange(19)), folder)
    assert list(tmp_path.iterdir()) == [folder]


def test_class_names_become_names_of_folders():
    classes = ("cat", "Cat", "cat (2)", "a/b", "what?", "nul", "..", ".net", "C:", "犬")
    expected = ["cat", "Cat (2)", "cat (2) (2)", "a_b", "what_", "_nul", "_", "net", "C_", "犬"]
    assert folder_names(classes) == expected


# real photographs


@needs_photographs
def test_real_photographs_are_all_used():
    report = inspect(scan(REAL / "groceries" / "test"), progress=False)
    assert len(report.photos) == 250
    assert not report.findings
    assert set(report.photos.counts().values()) == {25}


@needs_photographs
def test_real_hands_are_all_used_and_the_licence_is_not():
    report = inspect(scan(REAL / "sign_digits"), progress=False)
    assert len(report.photos) == 400
    assert [(f.kind, f.path.name) for f in report.findings] == [("no class", "LICENSE")]
