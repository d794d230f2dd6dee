"""A zip archive lands in its folder, whole or not at all, whatever it tries."""

import functools
import io
import stat
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pictures import encoded, picture

from tlcourse.photos import archives
from tlcourse.photos.archives import ArchiveError, safe_parts, unpack_zip
from tlcourse.photos.scan import scan


def packed(files, compression=zipfile.ZIP_DEFLATED):
    """An archive of contents by name, or of (ZipInfo, content) pairs."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files.items() if isinstance(files, dict) else files:
            archive.writestr(name, data)
    return buffer.getvalue()


def entry(name, kind):
    info = zipfile.ZipInfo(name)
    info.external_attr = (kind | 0o644) << 16
    return info


FRUIT = {
    f"{name}/{i}.png": encoded(picture(10 * c + i), "PNG") for c, name in enumerate(("apples", "梨")) for i in range(2)
}


def files_in(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_untouched(tmp_path):
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_comes_out_as_it_went_in(tmp_path, compression):
    data = packed(FRUIT, compression)
    (tmp_path / "sent.zip").write_bytes(data)
    for i, source in enumerate((memoryview(data), bytearray(data), tmp_path / "sent.zip", str(tmp_path / "sent.zip"))):
        folder = unpack_zip(source, tmp_path / str(i) / "fruit")
        assert folder == tmp_path / str(i) / "fruit"
        assert files_in(folder) == FRUIT
        assert [path.name for path in folder.parent.iterdir()] == ["fruit"]
    assert scan(folder).classes == ("apples", "梨")


def test_a_folder_around_everything_is_stepped_into_and_what_systems_leave_behind_stays_out(tmp_path):
    files = {f"my photos/fruit/{name}": content for name, content in FRUIT.items()}
    extra = {"__MACOSX/apples/._0.png": b"?", ".DS_Store": b"?", "my photos/fruit/apples/Thumbs.db": b"?"}
    folder = unpack_zip(packed(files | extra), tmp_path / "a")
    assert folder == tmp_path / "a" / "my photos" / "fruit"
    assert files_in(folder) == FRUIT
    entries = [
        (entry("apples/", stat.S_IFDIR), b""),
        (entry("apples\\", 0), b""),
        (entry("apples/0.png", stat.S_IFREG), b"0"),
    ]
    one_class = unpack_zip(packed(entries), tmp_path / "b")
    assert one_class == tmp_path / "b"
    assert files_in(one_class) == {"apples/0.png": b"0"}


def test_a_folder_that_is_not_empty_is_left_as_it_is(tmp_path):
    folder = unpack_zip(packed(FRUIT), tmp_path / "fruit")
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")}
    with pytest.raises(ArchiveError, match=r"could not unpack .*not empty"):
        unpack_zip(packed({"apples/0.png": b"other"}), folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")} == times


@pytest.mark.parametrize(
    "name",
    [
        *("../evil.png", "a/../../evil.png", "a/..", "/evil.png", "//host/evil.png", "\\evil.png", "..\\evil.png"),
        *("C:/evil.png", "C:evil.png", "c:\\evil.png", "a\\..\\..\\evil.png", "\\\\host\\share\\evil.png"),
    ],
)
def test_names_that_lead_out_are_refused(tmp_path, name):
    with pytest.raises(ArchiveError, match="leads out of the folder"):
        unpack_zip(packed({**FRUIT, name: b"evil"}), tmp_path / "fruit")
    assert_untouched(tmp_path)


def test_names_are_made_fit_for_every_system():
    assert safe_parts("a\\b//./c.png") == ["a", "b", "c.png"]
    assert safe_parts('wh?t/"is"/a:b|c<d>.png') == ["wh_t", "_is_", "a_b_c_d_.png"]
    assert safe_parts("end. /nul/COM1.png/console.png") == ["end", "_nul", "_COM1.png", "console.png"]
    assert safe_parts("a\x00b\n/.. /x") == ["a_b_", "_", "x"]
    with pytest.raises(ArchiveError):
        safe_parts("./")


def test_names_in_utf8_that_do_not_say_so_are_read(tmp_path):
    data = packed({"XXXX/1.png": b"1"}).replace(b"XXXX", "пя".encode())
    assert set(files_in(unpack_zip(data, tmp_path / "a"))) == {"пя/1.png"}
    old = packed({"XXXX/1.png": b"1"}).replace(b"XXXX", b"caf\x82")  # é as MS-DOS wrote it
    assert set(files_in(unpack_zip(old, tmp_path / "b"))) == {"café/1.png"}


@functools.cache
def bomb():
    """Sixty million zeros."""
    return packed({"a/0.bmp": bytes(60_000_000)})


def bomb_that_lies():
    """The same, but its entry says 1,000 bytes."""
    true, false = (60_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little")
    return bomb().replace(true, false)


def bomb_of_shared_bytes():
    """The same packed bytes listed many times, as in Fifield, "A better zip bomb", 2019, WOOT."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/0.bmp", bytes(1_500_000))
        first = archive.infolist()[0]
        for i in range(1, 40):
            again = zipfile.ZipInfo(f"a/{i}.bmp")
            for name in ("compress_type", "CRC", "compress_size", "file_size", "header_offset", "external_attr"):
                setattr(again, name, getattr(first, name))
            archive.filelist.append(again)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (bomb, "unpack to 60,000,000, like a decompression bomb"),
        (bomb_that_lies, "is not a whole zip archive"),
        (bomb_of_shared_bytes, "unpack to 60,000,000"),
    ],
)
def test_bombs_are_refused_and_leave_nothing(tmp_path, make, says):
    data = make()
    assert len(data) < 100_000
    with pytest.raises(ArchiveError, match=says):
        unpack_zip(data, tmp_path / "fruit")
    assert_untouched(tmp_path)


def test_up_to_the_size_and_number_that_are_allowed_all_is_unpacked(tmp_path, monkeypatch):
    assert unpack_zip(packed({"a/0.bmp": bytes(10_000_000)}), tmp_path / "a")
    data = packed({"a/0.bin": np.random.default_rng(0).bytes(2000)})
    assert unpack_zip(data, tmp_path / "b", most_bytes=2000)
    with pytest.raises(ArchiveError, match=r"Expected at most 1,999"):
        unpack_zip(data, tmp_path / "c", most_bytes=1999)
    monkeypatch.setattr(archives, "MOST_FILES", 3)
    with pytest.raises(ArchiveError, match="holds 4 files, but at most 3"):
        unpack_zip(packed(FRUIT), tmp_path / "c")


def damaged():
    data = bytearray(packed(FRUIT, zipfile.ZIP_STORED))
    data[data.find(b"IDAT") + 6] ^= 255
    return bytes(data)


def locked():
    data = bytearray(packed({"a/0.png": b"0"}))
    for start, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.find(start) + flags] |= 1
    return bytes(data)


def with_a_name_twice():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return packed([("a/0.png", b"0"), ("a/0.png", b"1")])


def with_special_file(kind):
    return packed([*FRUIT.items(), (entry("apples/x.png", kind), b"/etc/passwd")])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is not a whole zip archive"),
        (b"Rar!\x1a\x07", "is not a whole zip archive"),
        (packed(FRUIT)[:-40], "is not a whole zip archive"),
        (packed(FRUIT)[200:], "is not a whole zip archive"),
        (damaged(), "Bad CRC-32"),
        (packed({}), "holds no files"),
        (packed({"a/": b""}), "holds no files"),
        (locked(), "needs a password for 'a/0.png'"),
        (with_a_name_twice(), "holds 'a/0.png' twice"),
        (packed({"a": b"0", "a/0.png": b"1"}), "could not unpack the archive into"),
        (with_special_file(stat.S_IFLNK), "is a link"),
        (with_special_file(stat.S_IFIFO), "no ordinary file"),
        (with_special_file(stat.S_IFCHR), "no ordinary"),
    ],
)
def test_archives_that_cannot_be_unpacked_leave_nothing(tmp_path, data, says):
    with pytest.raises(ArchiveError, match=says):
        unpack_zip(data, tmp_path / "fruit")
    assert_untouched(tmp_path)


def test_a_missing_archive_and_a_file_in_the_way_say_so(tmp_path):
    with pytest.raises(ArchiveError, match=r"could not unpack .*gone\.zip.*No such file"):
        unpack_zip(tmp_path / "gone.zip", tmp_path / "fruit")
    (tmp_path / "fruit").write_bytes(b"here")
    with pytest.raises(ArchiveError, match="could not unpack"):
        unpack_zip(packed(FRUIT), tmp_path / "fruit")
    assert (tmp_path / "fruit").read_bytes() == b"here"
    assert [path.name for path in Path(tmp_path).iterdir()] == ["fruit"]
