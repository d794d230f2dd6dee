"""A zip archive lands in its folder, whole or not at all, whatever it tries."""

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
from tlcourse.photos.inspection import inspect
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
    folder = unpack_zip(packed(FRUIT, compression), tmp_path / "fruit")
    assert folder == tmp_path / "fruit"
    assert files_in(folder) == FRUIT
    assert [path.name for path in tmp_path.iterdir()] == ["fruit"]


def test_an_upload_and_a_file_are_taken_alike(tmp_path):
    data = packed(FRUIT)
    (tmp_path / "sent.zip").write_bytes(data)
    for i, source in enumerate((memoryview(data), bytearray(data), tmp_path / "sent.zip", str(tmp_path / "sent.zip"))):
        assert files_in(unpack_zip(source, tmp_path / str(i) / "fruit")) == FRUIT


def test_from_an_archive_to_photographs(tmp_path):
    report = inspect(scan(unpack_zip(packed(FRUIT), tmp_path / "fruit")), progress=False)
    assert report.photos.counts() == {"apples": 2, "梨": 2}


def test_a_folder_around_everything_is_stepped_into(tmp_path):
    data = packed({f"my photos/fruit/{name}": content for name, content in FRUIT.items()})
    assert unpack_zip(data, tmp_path / "a") == tmp_path / "a" / "my photos" / "fruit"
    one_class = packed({"apples/0.png": b"0"})
    assert unpack_zip(one_class, tmp_path / "b") == tmp_path / "b"


def test_what_systems_leave_behind_is_not_unpacked(tmp_path):
    extra = {"__MACOSX/apples/._0.png": b"?", ".DS_Store": b"?", "apples/Thumbs.db": b"?"}
    assert files_in(unpack_zip(packed({**FRUIT, **extra}), tmp_path / "fruit")) == FRUIT


def test_unpacking_again_changes_nothing_and_other_files_are_safe(tmp_path):
    folder = unpack_zip(packed(FRUIT), tmp_path / "fruit")
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")}
    (folder / ".DS_Store").write_bytes(b"?")
    assert unpack_zip(packed(FRUIT), folder) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.png")} == times
    for other in ({**FRUIT, "apples/0.png": encoded(picture(99), "PNG")}, {**FRUIT, "more.png": b"1"}):
        with pytest.raises(ArchiveError, match=r"does not hold the content of the archive. Nothing was changed"):
            unpack_zip(packed(other), folder)
    assert files_in(folder) == {**FRUIT, ".DS_Store": b"?"}


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


@pytest.mark.parametrize(
    ("kind", "says"), [(stat.S_IFLNK, "is a link"), (stat.S_IFIFO, "no ordinary file"), (stat.S_IFCHR, "no ordinary")]
)
def test_links_and_devices_are_refused(tmp_path, kind, says):
    with pytest.raises(ArchiveError, match=rf"'apples/x.png' in it {says}|{says}"):
        unpack_zip(packed([*FRUIT.items(), (entry("apples/x.png", kind), b"/etc/passwd")]), tmp_path / "fruit")
    assert_untouched(tmp_path)


def test_folders_and_ordinary_files_with_rights_are_fine(tmp_path):
    entries = [
        (entry("apples/", stat.S_IFDIR), b""),
        (entry("apples\\", 0), b""),
        (entry("apples/0.png", stat.S_IFREG), b"0"),
    ]
    assert files_in(unpack_zip(packed(entries), tmp_path / "fruit")) == {"apples/0.png": b"0"}


def test_bombs_are_refused_by_what_they_say(tmp_path):
    bomb = packed({"a/0.bmp": bytes(60_000_000)})
    assert len(bomb) < 100_000
    with pytest.raises(ArchiveError, match=r"unpack to 60,000,000 or more, like a decompression bomb"):
        unpack_zip(bomb, tmp_path / "fruit")
    assert_untouched(tmp_path)


def test_bombs_that_lie_about_their_size_are_stopped_while_they_unpack(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "FREE_BYTES", 100_000)
    data = packed({"a/0.bmp": bytes(5_000_000)})
    true, false = (5_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little")
    with pytest.raises(ArchiveError, match=r"like a decompression bomb|is not a whole zip archive"):
        unpack_zip(data.replace(true, false), tmp_path / "fruit")
    assert_untouched(tmp_path)


def test_entries_that_share_their_bytes_are_counted_against_the_size_of_the_archive(tmp_path, monkeypatch):
    """The same packed bytes listed many times, as in Fifield, "A better zip bomb", 2019, WOOT."""
    monkeypatch.setattr(archives, "FREE_BYTES", 100_000)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/0.bmp", bytes(1_000_000))
        first = archive.infolist()[0]
        for i in range(1, 50):
            again = zipfile.ZipInfo(f"a/{i}.bmp")
            for name in ("compress_type", "CRC", "compress_size", "file_size", "header_offset", "external_attr"):
                setattr(again, name, getattr(first, name))
            archive.filelist.append(again)
    with pytest.raises(ArchiveError, match=r"unpack to 50,000,000 or more"):
        unpack_zip(buffer.getvalue(), tmp_path / "fruit")
    assert_untouched(tmp_path)


def test_an_archive_may_not_be_larger_than_allowed(tmp_path):
    data = packed({"a/0.bin": np.random.default_rng(0).bytes(2000)})
    assert unpack_zip(data, tmp_path / "b", most_bytes=2000)
    with pytest.raises(ArchiveError, match=r"Expected at most 1,999"):
        unpack_zip(data, tmp_path / "c", most_bytes=1999)


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MOST_FILES", 3)
    with pytest.raises(ArchiveError, match="holds 4 files, but at most 3"):
        unpack_zip(packed(FRUIT), tmp_path / "fruit")


def test_photographs_that_shrink_a_little_are_no_bomb(tmp_path):
    assert unpack_zip(packed({"a/0.bmp": bytes(10_000_000)}), tmp_path / "fruit")


def damaged():
    data = bytearray(packed(FRUIT, zipfile.ZIP_STORED))
    data[data.find(b"IDAT") + 6] ^= 255
    return bytes(data)


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
    ],
)
def test_damaged_and_empty_archives_leave_nothing(tmp_path, data, says):
    with pytest.raises(ArchiveError, match=says):
        unpack_zip(data, tmp_path / "fruit")
    assert_untouched(tmp_path)


def test_passwords_and_names_that_come_twice_are_refused(tmp_path):
    locked = bytearray(packed({"a/0.png": b"0"}))
    for start, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.find(start) + flags] |= 1
    with pytest.raises(ArchiveError, match=r"needs a password for 'a/0.png'"):
        unpack_zip(bytes(locked), tmp_path / "fruit")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        twice = packed([("a/0.png", b"0"), ("a/0.png", b"1")])
    with pytest.raises(ArchiveError, match=r"holds 'a/0.png' twice"):
        unpack_zip(twice, tmp_path / "fruit")
    with pytest.raises(ArchiveError, match=r"could not unpack the archive into"):
        unpack_zip(packed({"a": b"0", "a/0.png": b"1"}), tmp_path / "fruit")
    assert_untouched(tmp_path)


def test_a_missing_archive_and_a_file_in_the_way_say_so(tmp_path):
    with pytest.raises(ArchiveError, match=r"could not unpack .*gone\.zip.*No such file"):
        unpack_zip(tmp_path / "gone.zip", tmp_path / "fruit")
    (tmp_path / "fruit").write_bytes(b"here")
    with pytest.raises(ArchiveError, match="could not unpack"):
        unpack_zip(packed(FRUIT), tmp_path / "fruit")
    assert (tmp_path / "fruit").read_bytes() == b"here"
    assert [path.name for path in Path(tmp_path).iterdir()] == ["fruit"]
