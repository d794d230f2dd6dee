"""An image set as a folder of pictures; and folders of real photographs, where some are at hand."""

import os
from pathlib import Path

import pytest
import torch
from pictures import pixels

import tlcourse as tl
from tlcourse.photos.image_folder import folder_names, write_image_folder
from tlcourse.photos.inspection import inspect
from tlcourse.photos.read import open_photo
from tlcourse.photos.scan import scan

REAL = Path(os.environ.get("TLCOURSE_REAL_DATA", "not set"))
needs_photographs = pytest.mark.skipif(
    not (REAL / "groceries").is_dir(), reason="TLCOURSE_REAL_DATA does not name a folder with groceries"
)


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
    assert not report.findings
    assert set(report.photos.counts().values()) == {25}
    report = inspect(scan(REAL / "sign_digits"), progress=False)
    assert len(report.photos) == 400
    assert [(f.kind, f.path.name) for f in report.findings] == [("no class", "LICENSE")]
