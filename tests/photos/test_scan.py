"""A folder as people have it: what is found in it is told, what can be used is used, and nothing on disk is changed."""

import os
import sys
import unicodedata

import numpy as np
import pytest
from pictures import picture
from PIL import Image

from tlcourse.photos import inspection as folder_inspection
from tlcourse.photos.findings import FolderError
from tlcourse.photos.inspection import inspect
from tlcourse.photos.near_duplicates import near_pairs
from tlcourse.photos.scan import scan

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
        for i, form in enumerate(("NFC", "NFD")):
            put(tmp_path / unicodedata.normalize(form, name) / f"{name[:20]} {i}.png", 10 * seed + i)
    report = look(tmp_path)
    assert set(report.photos.classes) == set(names)
    assert len(report.photos) == 14
    assert str(report)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux allows such names")
def test_names_that_are_no_text_can_be_printed_and_read(folder):
    os.rename(os.fsencode(folder / "apples"), os.fsencode(folder) + b"/\xe4pfel")
    os.rename(os.fsencode(folder / "pears" / "3.png"), os.fsencode(folder / "pears") + b"/\xff.png")
    (folder / "pears" / "4.png").write_bytes(b"?")
    report = look(folder)
    assert str(report).encode("utf-8")
    assert len(report.photos) == 5


def test_hidden_files_and_those_of_the_system_are_passed_over(folder):
    for name in (".DS_Store", "Thumbs.db", "apples/._0.png", "__MACOSX/apples/0.png", ".cache/1.png", "desktop.ini"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"?")
    report = look(folder)
    assert not report.findings
    assert report.photos.classes == ("apples", "pears")


def test_names_that_may_be_one_class_are_pointed_out(folder):
    for i in range(2):
        put(folder / "Green-Pears" / f"{i}.png", 20 + i)
        put(folder / "green pears" / f"{i}.png", 30 + i)
    report = look(folder)
    assert found(report) == {("similar names", "Green-Pears"), ("similar names", "green pears")}
    assert "is this the same class as 'green pears'?" in str(report)
    assert len(report.photos) == 10


def test_what_is_no_folder_of_classes_says_what_to_do(folder, tmp_path):
    with pytest.raises(FolderError, match="does not exist, but a folder was expected"):
        scan(tmp_path / "nowhere")
    (tmp_path / "a.zip").write_bytes(b"")
    with pytest.raises(FolderError, match=r"Unpack it first: folder = unpack_zip"):
        scan(tmp_path / "a.zip")
    with pytest.raises(FolderError, match=r"3 files but no subfolder with files.*table of labels with csv="):
        scan(folder / "apples")
    for half in ("train", "test"):
        put(tmp_path / "set" / half / "apples" / "1.png")
    with pytest.raises(FolderError, match=r"'test', 'train': these look like parts of a data set.*set.train"):
        scan(tmp_path / "set")


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
        ("unreadable", "pears/vanishes.png"),
        ("no class", "list.csv"),
    }
    assert report.counts() == {"corrupt file": 3, "too large": 1, "not an image": 2, "unreadable": 1, "no class": 1}
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
    report = look(folder)
    assert found(report) == {("two classes", "apples/1.png"), ("two classes", "pears/apple.png")}
    assert report.photos.counts() == {"apples": 2, "pears": 3}
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
    put(folder / "kiwi" / "1.png", 70)
    put(folder / "lemon" / "1.png", 80)
    picture(80).point(lambda v: v * 0.8).save(folder / "lemon" / "2.png")
    (folder / "void").mkdir()
    (folder / "words").mkdir()
    (folder / "words" / "a.txt").write_text("words")
    report = look(folder)
    assert {("one-image class", "kiwi"), ("one-image class", "lemon")} <= found(report)
    assert {("empty class", "void"), ("empty class", "words")} <= found(report)
    assert report.photos.classes == ("apples", "pears")
    assert report.photos.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert set(report.photos.split(0.67)[0].counts().values()) == {2}


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
    for i in range(5):
        put(folder / "apples" / f"more {i}.png", 100 + i)
    report = look(folder)
    assert report.remarks == {"turned upright": 1, "grey": 1, "CMYK": 1}
    assert "Among those used: 1 grey, 1 CMYK, 1 turned upright." in str(report)
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


# a table of labels


@pytest.fixture
def flat(tmp_path):
    """Six pictures without subfolders."""
    for i in range(6):
        put(tmp_path / "pictures" / f"{i}.png", i)
    return tmp_path / "pictures"


ROWS = [("0.png", "cat"), ("1.png", "cat"), ("2.png", "dog"), ("3.png", "dog"), ("4.png", "dog"), ("5.png", "cat")]


@pytest.mark.parametrize("header", [("file", "label"), ("Image", "Species"), ("what", "ever"), None])
@pytest.mark.parametrize(("separator", "encoding"), [(",", "utf-8"), (";", "utf-8-sig"), ("\t", "utf-16")])
def test_tables_are_read_as_people_save_them(flat, header, separator, encoding):
    rows = [*([header] if header else []), *ROWS]
    table = flat / "labels.csv"  # it may lie in the folder
    table.write_text("\r\n".join(separator.join(row) for row in rows), encoding=encoding)
    result = scan(flat, "labels.csv")
    assert result.classes == ("cat", "dog")
    assert dict(zip(result.files, (result.classes[c] for c in result.labels), strict=True)) == dict(ROWS)
    assert not result.findings


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (None, "could not read the table"),
        (b"", "has 0 rows and no two columns"),
        (b"file\n0.png\n", "has 2 rows and no two columns"),
        ("file,label\n0.png,süß".encode("cp1252"), r"is not in UTF-8 \(byte 18 is 0xfc\).*'CSV UTF-8'"),
        (b"file,label\nx.png,cat\n", r"no row of .*labels\.csv names a file in .*, which holds 6 files, such as 0.png"),
    ],
)
def test_tables_that_cannot_be_used_say_why(flat, tmp_path, data, says):
    if data is not None:
        (tmp_path / "labels.csv").write_bytes(data)
    with pytest.raises(FolderError, match=says):
        scan(flat, tmp_path / "labels.csv")


def test_columns_may_stand_anywhere_and_names_lack_their_ending(flat, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text('number,label,id\n1,"cat, grey",0\n2,dog,1\n3,dog,.\\2.png\n')
    result = scan(flat, table)
    assert result.files == ("0.png", "1.png", "2.png")
    assert result.classes == ("cat, grey", "dog")
    assert {(f.kind, f.path.name) for f in result.findings} == {("no class", f"{i}.png") for i in (3, 4, 5)}


def test_rows_that_do_not_fit_are_told(flat, tmp_path):
    put(tmp_path / "secret.png", 50)
    table = tmp_path / "labels.csv"
    lines = ["file,label", "0.png,cat", "1.png,", "2.png,dog", "2.png,cat", "gone.png,dog", "3.png,dog", "3.png,dog"]
    lines += ["../secret.png,cat", f"{tmp_path / 'secret.png'},cat", "C:\\x.png,cat", "", "4.png"]
    table.write_text("\n".join(lines))
    result = scan(flat, table)
    assert result.files == ("0.png", "3.png")
    told = {f.why for f in result.findings}
    assert "row 3 of labels.csv has an empty class" in told
    assert "labels.csv calls it 'dog' and, in row 5, 'cat'" in told
    assert "row 6 of labels.csv names 'gone.png', which is not there" in told
    assert "row 9 of labels.csv names '../secret.png', which is not below the folder" in told
    assert "row 13 of labels.csv has an empty class" in told
    assert "has no row in labels.csv" in told
    kinds = [f.kind for f in result.findings]
    assert kinds.count("outside the folder") == 3
    assert kinds.count("two classes") == 1


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
