"""A folder as people have it: what is found in it is told, what can be used is used, and nothing on disk is changed."""

import os
import sys
import unicodedata
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from pictures import picture, pixels
from PIL import Image

from tlcourse.photos import inspection as folder_inspection
from tlcourse.photos.findings import FolderError
from tlcourse.photos.inspection import inspect
from tlcourse.photos.near_duplicates import near_pairs
from tlcourse.photos.scan import scan
from tlcourse.photos.splits import from_another_day, train_validation_test

needs_links = pytest.mark.skipif(sys.platform == "win32", reason="links need special rights on Windows")


def put(path, seed=0, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture(seed).save(path, **options)
    return path


@pytest.fixture
def folder(tmp_path):
    """Three apples and three pears."""
    for i in range(6):
        put(tmp_path / "fruit" / ("apples" if i < 3 else "pears") / f"{i}.png", i)
    return tmp_path / "fruit"


def look(folder):
    return inspect(scan(folder), progress=False)


def found(report):
    """Kinds and names of all findings."""
    return {(f.kind, f.path.relative_to(report.folder).as_posix()) for f in report.findings}


def snapshot(folder):
    return {path: (path.lstat().st_mtime_ns, path.lstat().st_size) for path in folder.rglob("*")}


# names


def test_a_class_is_a_subfolder_with_everything_below(folder):
    put(folder / "pears" / "green" / "small" / "7.JPG", 7)
    result = scan(folder)
    assert result.classes == ("apples", "pears")
    assert result.files[:3] == ("apples/0.png", "apples/1.png", "apples/2.png")
    assert "pears/green/small/7.JPG" in result.files
    assert result.labels.tolist() == [0, 0, 0, 1, 1, 1, 1]
    assert "7 files in 2 classes" in str(result)
    assert not result.findings


def test_names_in_any_script_keep_their_letters_and_two_spellings_of_one_letter_are_one_class(tmp_path):
    names = ["яблоки", "梨", "تفاح", "Äpfel & Birnen", "naïve café", "🍎", "x" * 80]
    for seed, name in enumerate(names):
        for i, form in enumerate(("NFC", "NFD", "NFC")):
            put(tmp_path / unicodedata.normalize(form, name) / f"{name[:20]} {i}.png", 10 * seed + i)
    report = look(tmp_path)
    assert set(report.photos.classes) == set(names)
    assert len(report.photos) == 21
    assert "are taken for one class" in str(report)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux allows such names")
def test_names_that_are_no_text_can_be_printed_and_read(folder):
    os.rename(os.fsencode(folder / "apples"), os.fsencode(folder) + b"/\xe4pfel")
    os.rename(os.fsencode(folder / "pears"), os.fsencode(folder) + b"/\xf6pfel")
    report = look(folder)
    assert report.photos.counts() == {"\\xe4pfel": 3, "\\xf6pfel": 3}
    assert str(report).encode("utf-8")


def test_folders_that_become_one_class_are_told_and_blank_names_refused(folder):
    for i, name in enumerate(("apples ", "pears\u3000")):
        put(folder / name / "7.png", 20 + i)
    report = look(folder)
    assert report.photos.counts() == {"apples": 4, "pears": 4}
    assert "the folders 'apples', 'apples ' are taken for one class." in str(report).split("\n")[1]
    put(folder / " " / "8.png", 30)
    with pytest.raises(FolderError, match=r"a folder with a blank name, ' '\. Rename it"):
        scan(folder)


def made(folder, *names):
    for name in names:
        put(folder / name / "1.png")
    return folder


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["training_set/cat", "test_set/cat"], r"'test_set', 'training_set': these look like .*set.training_set\?"),
        (["train/a", "test1/b"], "'test1', 'train': these look"),
        (
            ["train/cat", "train/dog", "valid/cat", "annotations"],
            r"'train', 'valid': these.*set.train\? .*--test",
        ),
        (["seg_train/seg_train/sea", "seg_test/seg_test/sea"], "'seg_test', 'seg_train': these"),
        (["trainA", "trainB", "testA", "testB"], "'testA', 'testB', 'trainA', 'trainB': these"),
        (["Training Data/x", "Validation Data/x"], "'Training Data', 'Validation Data': these"),
        (["训练集", "测试集"], "'测试集', '训练集': these look"),
        (["images", "masks"], "'masks' beside 'images': these look like masks"),
        (["lung/images", "lung/masks", "healthy/images"], "'lung/masks' beside 'lung/images': these look like masks"),
        (["fold1_train", "fold1_val"], "these look like parts"),
        (
            ["art/bus", "art/cup", "photo/bus", "photo/cup"],
            "'art', 'photo', each with 'bus', 'cup': these",
        ),
        (
            ["data/data/train/a", "data/data/test/b", "__MACOSX/x"],
            r"one subfolder with files, 'data'.*mean .*data.data.train\?",
        ),
        (["fruit/apples", "fruit/pears"], r"one subfolder with files, 'fruit'. Expected .*set.fruit\?"),
    ],
)
def test_parts_of_a_data_set_are_not_taken_for_classes(tmp_path, names, says):
    with pytest.raises(FolderError, match=says):
        scan(made(tmp_path / "set", *names))


@pytest.mark.parametrize(
    "names",
    [
        ["train", "bus", "car"],
        ["test tubes", "training shoes"],
        ["cat/part 1", "cat/part 2", "dog/part 1", "dog/part 2"],
        ["cat/train", "cat/test", "dog/train", "dog/test"],
        ["cat/front", "dog/front", "dog/back"],
        ["latest", "contest"],
        ["masks", "hats"],
    ],
)
def test_classes_with_such_names_are_classes(tmp_path, names):
    result = scan(made(tmp_path / "set", *names))
    assert result.classes == tuple(sorted({name.split("/")[0] for name in names}))
    assert ("'test', 'train' inside the classes are read together" in str(result)) == ("cat/train" in names)


def test_hidden_files_and_those_of_the_system_are_passed_over(folder):
    for name in (".DS_Store", "Thumbs.db", "apples/._0.png", "__MACOSX/apples/0.png", ".cache/1.png", "desktop.ini"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"?")
    report = look(folder)
    assert not report.findings
    assert report.photos.classes == ("apples", "pears")


def test_names_that_may_be_one_class_are_pointed_out(folder):
    for i in range(3):
        put(folder / "Green-Pears" / f"{i}.png", 20 + i)
        put(folder / "green pears" / f"{i}.png", 30 + i)
    report = look(folder)
    assert found(report) == {("similar names", "Green-Pears"), ("similar names", "green pears")}
    assert "is this the same class as 'green pears'?" in str(report)
    assert len(report.photos) == 12


def test_what_is_no_folder_of_classes_says_what_to_do(folder, tmp_path):
    with pytest.raises(FolderError, match="does not exist, but a folder was expected"):
        scan(tmp_path / "nowhere")
    zipfile.ZipFile(tmp_path / "a.zip", "w").close()
    with pytest.raises(FolderError, match=r"a zip archive. Unpack it and give its folder"):
        scan(tmp_path / "a.zip")
    with pytest.raises(FolderError, match=r"3 files, but no subfolder with files.*table of labels \(--csv"):
        scan(folder / "apples")


# links


@needs_links
def test_links_out_of_the_folder_and_pipes_are_not_followed(folder, tmp_path):
    secret = put(tmp_path / "elsewhere" / "secret.png", 50)
    (folder / "apples" / "out.png").symlink_to(secret)
    (folder / "more").symlink_to(secret.parent)
    (folder / "apples" / "nowhere.png").symlink_to(tmp_path / "gone.png")
    (folder / "apples" / "loop.png").symlink_to(folder / "apples" / "loop.png")
    (folder / "apples" / "again").symlink_to(folder)
    (folder / "apples" / "same.png").symlink_to(folder / "apples" / "1.png")
    (tmp_path / "short").symlink_to(folder)
    os.mkfifo(folder / "apples" / "pipe.png")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "1.png").symlink_to(secret)
    with pytest.raises(FolderError, match=r"0 files and 1 links that are not followed, .*1\.png leads out of"):
        scan(tmp_path / "links")
    report = look(tmp_path / "short")
    assert len(report.photos) == 6
    refused = ("apples/out.png", "more", "apples/nowhere.png", "apples/loop.png", "apples/again", "apples/pipe.png")
    assert found(report) == {("copy", "apples/same.png"), *(("link", name) for name in refused)}
    assert "leads out of the folder, to" in str(report)


# content


def test_a_clean_folder_gives_no_finding_whatever_its_files_end_in(folder):
    os.rename(folder / "apples" / "1.png", folder / "apples" / "1.txt")
    os.rename(folder / "apples" / "2.png", folder / "apples" / "2")
    before = snapshot(folder)
    report = look(folder)
    assert report.findings == ()
    assert report.photos.counts() == {"apples": 3, "pears": 3}
    assert report.photos.paths[0] == folder / "apples" / "0.png"
    assert len(report.photos.groups.unique()) == 6
    assert "6 files opened, 6 photographs of 2 classes will be used. Nothing on disk was changed" in str(report)
    assert "Every class has 3." in str(report)
    assert snapshot(folder) == before


def test_files_that_cannot_be_used_are_left_out_with_a_reason(folder, monkeypatch):
    monkeypatch.setattr("tlcourse.photos.read.LARGEST", 3000)
    Image.new("RGB", (900, 3)).save(folder / "apples" / "strip.png")
    Image.fromarray(np.full((9, 9), 255, np.float32)).save(folder / "apples" / "255.tif")
    data = (folder / "apples" / "0.png").read_bytes()
    (folder / "apples" / "cut.png").write_bytes(data[: len(data) // 2])
    (folder / "apples" / "empty.jpg").write_bytes(b"")
    (folder / "apples" / "words.jpg").write_bytes(b"these are words")
    (folder / "apples" / "notes.txt").write_bytes(b"these are words too")
    (folder / "pears" / "film.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(50))
    picture(60, 100, 100).save(folder / "pears" / "huge.png")
    vanishes = put(folder / "pears" / "vanishes.png", 61)
    (folder / "list.csv").write_text("a,b")
    result = scan(folder)
    vanishes.unlink()
    before = snapshot(folder)
    report = inspect(result, progress=False)
    assert found(report) == {
        ("corrupt file", "apples/cut.png"),
        ("corrupt file", "apples/empty.jpg"),
        ("corrupt file", "apples/words.jpg"),
        ("not an image", "apples/notes.txt"),
        ("not an image", "pears/film.mp4"),
        ("too large", "pears/huge.png"),
        ("too narrow", "apples/strip.png"),
        ("out of range", "apples/255.tif"),
        ("unreadable", "pears/vanishes.png"),
        ("no class", "list.csv"),
    }
    assert report.counts()["corrupt file"] == 3
    assert [kind for kind, *_ in report.rows()] == [f.kind for f in report.findings]
    assert len(report.photos) == 6
    text = str(report)
    assert "3  corrupt file (left out)" in text
    assert "apples/cut.png: opens but does not decode" in text
    assert "... and 1 more" in text
    assert report.which("too large")[0].why.startswith("was refused: it says that it has 100 x 100 pixels")
    assert snapshot(folder) == before
    with pytest.raises(ValueError, match="'cats' is not a kind of finding"):
        report.which("cats")


def test_copies_are_left_out_whatever_their_format(folder):
    picture(1).save(folder / "apples" / "again.bmp")
    report = look(folder)
    assert [(f.kind, f.path.name, f.partner.name) for f in report.findings] == [("copy", "again.bmp", "1.png")]
    assert len(report.photos) == 6


def test_a_photograph_in_two_classes_is_left_out_of_both(folder):
    put(folder / "pears" / "apple.png", 1)
    put(folder / "apples" / "8.png", 8)
    report = look(folder)
    assert found(report) == {("two classes", "apples/1.png"), ("two classes", "pears/apple.png")}
    assert report.photos.counts() == {"apples": 3, "pears": 3}
    assert "lies in 'apples' and in 'pears'" in str(report)


def test_near_duplicates_are_used_and_share_a_group(folder):
    picture(1).point(lambda v: v * 0.7 + 20).save(folder / "apples" / "darker.png")
    picture(1, 96, 72).save(folder / "apples" / "larger.jpg", quality=40)
    picture(4).save(folder / "apples" / "a pear.jpg")
    report = look(folder)
    near = {(f.path.name, f.partner.name) for f in report.which("near duplicate")}
    assert {frozenset(pair) for pair in near} >= {frozenset(("darker.png", "1.png"))}
    assert {kind for kind, done, *_ in report.rows() if done != "used"} == set()
    group = {path.name: g for path, g in zip(report.photos.paths, report.photos.groups.tolist(), strict=True)}
    assert group["darker.png"] == group["larger.jpg"] == group["1.png"]
    assert group["a pear.jpg"] != group["4.png"]  # it is pointed out, but another class does not tie
    assert any("4.png" in pair for pair in near)
    assert len(set(group.values())) == 7


def test_classes_that_cannot_be_split_are_left_out(folder):
    for i in range(2):
        put(folder / "kiwi" / f"{i}.png", 70 + i)
    (folder / "void").mkdir()
    (folder / "words").mkdir()
    (folder / "words" / "a.txt").write_text("words")
    report = look(folder)
    assert {("small class", "kiwi"), ("empty class", "void"), ("empty class", "words")} <= found(report)
    assert "2 usable photographs; 3 are needed" in str(report)
    assert report.photos.counts() == {"apples": 3, "pears": 3}
    assert all(set(part.values()) == {1} for name, part in counts_of_parts(report.photos))
    assert inspect(scan(folder), at_least=2, progress=False).photos.classes == ("apples", "kiwi", "pears")


def counts_of_parts(photos):
    parts = train_validation_test(photos)
    return [(name, getattr(parts, name).counts()) for name in ("train", "validation", "test")]


def test_likeness_alone_never_drops_a_class(folder):
    """Twenty photographs of one machine part, with other noise and light."""
    noise = np.random.default_rng(0)
    for i in range(20):
        seen = pixels(picture(80)) * (0.8 + 0.02 * i) + noise.normal(0, 4, (36, 48, 3))
        (folder / "gear").mkdir(exist_ok=True)
        Image.fromarray(seen.clip(0, 255).astype(np.uint8)).save(folder / "gear" / f"{i}.png")
    report = look(folder)
    assert report.photos.counts()["gear"] == 20
    assert len(report.which("near duplicate")) == 19
    assert [f.why for f in report.which("all alike")] == [
        "20 photographs look like 1; they are divided one by one, so similar ones part"
    ]
    assert [part["gear"] for _, part in counts_of_parts(report.photos)] == [13, 3, 4]


def test_blank_photographs_are_pointed_out(folder):
    Image.new("RGB", (30, 30), (9, 9, 9)).save(folder / "pears" / "cap on.png")
    Image.new("RGB", (30, 30), (8, 8, 8)).save(folder / "pears" / "cap still on.png")
    report = look(folder)
    assert {f.kind for f in report.findings} == {"blank"}
    assert len(report.photos) == 8
    assert len(report.photos.groups.unique()) == 8


def test_the_report_tells_what_the_pictures_were_like_and_gives_advice(folder, tmp_path, monkeypatch):
    exif = Image.Exif()
    exif[0x0112] = 6
    put(folder / "apples" / "turned.jpg", 90, exif=exif)
    picture(91).convert("L").save(folder / "apples" / "grey.png")
    picture(92).convert("CMYK").save(folder / "apples" / "print.tif")
    for i, top in enumerate((200, 4095)):
        deep = pixels(picture(93 + i))[..., 0] * top // 255
        Image.fromarray(deep.astype(np.uint16)).save(folder / "pears" / f"{i}.png")
    for i in range(5):
        put(folder / "apples" / f"more {i}.png", 100 + i)
    report = look(folder)
    assert report.remarks == {"turned upright": 1, "grey": 1, "CMYK": 1, "16 bits a colour": 2}
    assert "Among those used: 1 grey, 1 CMYK, 1 turned upright, 2 16 bits a colour." in str(report)
    lines = str(report).split("\n")
    assert "2 pictures of 16 bits a colour have values from 0 to 4,095; 0 was read as black, 65,535 as" in lines[1]
    assert lines[2:4] == ["       11  apples", "        5  pears"]
    assert "largest 'apples' with 11. In the training every class will count the same." in str(report)
    monkeypatch.setattr(folder_inspection, "NEAR_UP_TO", 3)
    assert "only exact copies were looked for" in str(look(folder))
    for path in folder.rglob("*.*"):
        path.write_bytes(b"?")
    report = look(folder)
    assert len(report.photos) == 0
    assert "needs at least two classes" in str(report)


def test_threads_change_nothing(folder, monkeypatch):
    put(folder / "apples" / "copy.png", 1)
    reports = []
    for threads in (1, 4):
        monkeypatch.setattr(folder_inspection, "reading_threads", lambda n=threads: n)
        reports.append(look(folder))
    assert str(reports[0]) == str(reports[1])
    assert reports[0].photos.paths == reports[1].photos.paths


# likeness


def test_near_pairs_agree_with_correlations_taken_one_by_one():
    draws = np.random.default_rng(0)
    images = draws.integers(0, 256, (30, 64)).astype(np.uint8)
    images[20] = images[3] // 2 + 10
    images[29] = images[3]
    expected = {
        (a, b)
        for a in range(30)
        for b in range(a)
        if 1 - np.corrcoef(images[a].astype(float), images[b].astype(float))[0, 1] <= 0.02
    }
    assert {(a, b) for a, b, _ in near_pairs(images)} == expected == {(20, 3), (29, 3), (29, 20)}
    assert not list(near_pairs(np.full((5, 64), 7, np.uint8)))  # without contrast nothing is alike


def test_copies_among_the_test_photographs_are_not_learned_from(folder, tmp_path):
    """Saved at another quality, with a comment, in another format, smaller."""
    for i in range(10, 24):
        put(folder / ("apples" if i % 2 else "pears") / f"{i}.png", i, comment="first")
    for i in (10, 11, 12, 13):
        path = tmp_path / "test" / ("apples" if i % 2 else "pears") / "x"
        put(path.with_name(f"{i}.jpg"), i, quality=60, comment="second")
    put(tmp_path / "test" / "pears" / "14.bmp", 14)
    picture(15, 96, 72).save(tmp_path / "test" / "apples" / "15.webp")
    put(tmp_path / "test" / "apples" / "other.png", 50)
    photos, test = look(folder).photos, inspect(scan(tmp_path / "test"), at_least=1, progress=False).photos
    for train in (photos, replace(photos, thumbnails=None)):
        parts = train_validation_test(train, test)
        assert sorted(path.stem for path in parts.left_out) == ["10", "11", "12", "13", "14", "15"]
        assert len(parts.train) + len(parts.validation) == 14
        assert not parts.notes
        assert [path.name for path in from_another_day(test, train).paths] == ["other.png"]


def test_where_all_look_like_test_photographs_only_equal_ones_are_left_out(folder, tmp_path):
    for i in range(3):
        picture(i).point(lambda v: v * 0.9).save(put(tmp_path / "test" / "apples" / f"{i}.png"))
    put(tmp_path / "test" / "apples" / "same.bmp", 0)
    photos, test = look(folder).photos, inspect(scan(tmp_path / "test"), at_least=1, progress=False).photos
    parts = train_validation_test(photos, test)
    assert [path.name for path in parts.left_out] == ["0.png"]
    assert parts.notes == ("2 photographs of 'apples' look much like others that are to be kept apart.",)
