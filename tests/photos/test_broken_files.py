"""A thousand broken files: each is left out by its name, or is read the same way everywhere."""

import numpy as np
import pytest
from pictures import encoded, picture

from tlcourse.data.transforms import Preprocessing
from tlcourse.photos.inspection import inspect
from tlcourse.photos.memory import open_photos, read_for
from tlcourse.photos.read import PhotoError, decode, printable
from tlcourse.photos.scan import scan

FORMS = {
    **{"PNG": "png", "JPEG": "jpg", "GIF": "gif", "BMP": "bmp", "TIFF": "tif", "WEBP": "webp", "PPM": "ppm"},
    **{"TGA": "tga", "PCX": "pcx", "SGI": "sgi", "ICO": "ico", "DDS": "dds", "QOI": "qoi", "JPEG2000": "jp2"},
    "DIB": "dib",
}
SMALL = Preprocessing(8, 8, (0, 0, 0), (1, 1, 1))


def flipped(data, draws):
    bits = np.frombuffer(data, np.uint8).copy()
    places = draws.integers(0, len(bits), draws.integers(1, 20))
    bits[places] ^= (1 << draws.integers(0, 8, len(places))).astype(np.uint8)
    return bits.tobytes()


def giant(data, draws):
    """Somewhere in the header, numbers become as large as they can be."""
    start = int(draws.integers(0, min(60, len(data))))
    return data[:start] + b"\xff" * int(draws.integers(2, 9)) + data[start + 4 :]


DAMAGES = {
    "cut": lambda data, draws: data[: draws.integers(1, len(data) // 2)],
    "flipped": flipped,
    "giant": giant,
    "blanked": lambda data, draws: data[: len(data) // 3] + bytes(len(data) - len(data) // 3),
    "headless": lambda data, draws: data[draws.integers(1, 20) :],
    "doubled": lambda data, draws: data[: len(data) // 2] + data,
    "empty": lambda data, draws: b"",
}


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    folder, draws = tmp_path_factory.mktemp("broken"), np.random.default_rng(0)
    whole = {}
    for i in range(1000):
        form, ending = list(FORMS)[i % 15], list(FORMS.values())[(i % 15 + (i % 4 == 0)) % 15]  # a quarter is misnamed
        damage = list(DAMAGES)[i // 15 % 7]
        path = folder / ("ab"[i % 2]) / f"{i} {form} {damage}.{ending}"
        path.parent.mkdir(exist_ok=True)
        whole[form, damage] = whole.get((form, damage)) or encoded(picture(i, 32, 32), form)
        path.write_bytes(DAMAGES[damage](whole[form, damage], draws))
    return folder


def message(read, *arguments):
    """What is said of a file: nothing where it can be read."""
    try:
        read(*arguments)
    except PhotoError as error:
        return str(error)
    return ""


def test_a_broken_file_is_left_out_by_name_or_read_the_same_way_everywhere(broken, monkeypatch):
    monkeypatch.setattr("tlcourse.photos.read.LARGEST", 1_000_000)
    report = inspect(scan(broken), progress=False)
    used, found = set(report.photos.paths), {finding.path for finding in report.findings}
    files = set(broken.rglob("*.*"))
    assert used | found >= files
    assert not [path.name for path in used if path.name.split()[2].partition(".")[0] in ("cut", "empty")]
    assert len(used) > 50
    for path in files:
        answers = {message(decode, path), message(read_for, path, SMALL)}
        assert answers == {""} or all(printable(path) in answer for answer in answers), answers
        assert answers == {""} or path not in used
    x = open_photos(report.photos, SMALL, progress=False)
    assert x.images.shape == (len(used), 3, 8, 8)
