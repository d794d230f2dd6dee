"""Progress is one small file: whole, mergeable, safe with two notebooks at once, and never in the way."""

import multiprocessing

import pytest

from tlcourse import cli
from tlcourse.exercises import progress
from tlcourse.exercises.progress import ProgressError, Standing, keep, merge, progress_file, read_records, standing
from tlcourse.lessons.progress_panel import ProgressPanel
from tlcourse.lessons.progress_report import ProgressCard, course_progress
from tlcourse.storage import StorageError


@pytest.fixture(autouse=True)
def path(tmp_path, monkeypatch):
    file = tmp_path / "kept" / "progress.json"
    monkeypatch.setenv("TLCOURSE_PROGRESS", str(file))
    return file


def test_what_is_kept_is_read_back_in_order(path):
    keep("attempt", "00.q1", outcome="WRONG", share=0.0)
    keep("hint", "00.q1")
    first, second = read_records()
    assert (first["kind"], first["name"], first["outcome"]) == ("attempt", "00.q1", "WRONG")
    assert second["kind"] == "hint"
    assert first["time"] <= second["time"]
    assert not list(path.parent.glob("*.tmp"))


@pytest.mark.parametrize(("name", "value"), [("TLCOURSE_PROGRESS", "off"), ("NBGRADER_EXECUTION", "autograde")])
def test_nothing_is_kept_when_it_is_off_or_nbgrader_runs_it(monkeypatch, tmp_path, name, value):
    monkeypatch.setenv(name, value)
    assert keep("attempt", "00.q1") == ""
    assert progress_file() is None
    assert read_records() == []
    assert not list(tmp_path.iterdir())


def test_without_a_name_it_lies_with_the_user_s_data(monkeypatch):
    monkeypatch.delenv("TLCOURSE_PROGRESS")
    assert progress_file().name == "progress.json"
    assert progress_file().parent.name == "tlcourse"


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"format": 2, "records": []}', '{"format": 1, "records": [{"id": 3}]}']
)
def test_a_file_that_is_none_is_left_alone(path, content):
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(ProgressError, match=r"is not a progress file of this course.*Nothing was changed.*Move the"):
        read_records()
    assert "could not be kept" in keep("attempt", "00.q1")
    assert path.read_text() == content


def test_a_folder_that_cannot_be_made_does_not_stop_a_lesson(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TLCOURSE_PROGRESS", str(tmp_path / "file" / "progress.json"))
    assert "could not be kept" in keep("attempt", "00.q1")


def test_a_full_disk_leaves_the_old_file(path, monkeypatch):
    keep("hint", "00.q1")

    def full(*_):
        raise StorageError("no space left")

    monkeypatch.setattr(progress, "write_atomically", full)
    assert "no space left" in keep("hint", "00.q2")
    assert [record["name"] for record in read_records()] == ["00.q1"]


def test_merging_counts_every_record_once_whatever_the_order(path, tmp_path):
    keep("hint", "00.q1")
    other = tmp_path / "other.json"
    merge([{"id": "x", "time": 1.0, "kind": "hint", "name": "00.q2"}], other)
    assert merge(read_records(other), path) == 1
    assert merge(read_records(other), path) == 0
    here = read_records()
    merge(read_records(path), other)
    assert read_records(other) == here
    assert [record["name"] for record in here] == ["00.q2", "00.q1"]


def _keep_many(count):
    for _ in range(count):
        keep("hint", "00.q1")


def test_two_kernels_at_once_lose_nothing():
    context = multiprocessing.get_context("fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn")
    writers = [context.Process(target=_keep_many, args=(10,)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(read_records()) == 20


def record(kind, name="00.q4", **more):
    return {"id": str(len(more)) + kind, "time": 0.0, "kind": kind, "name": name, **more}


def test_standing_takes_the_best():
    assert standing("00.q4", []) == Standing()
    tries = [
        record("attempt", outcome="ERROR", share=0.0),
        record("attempt", outcome="CORRECT", share=1.0, score=80.0),
        record("attempt", outcome="WRONG", share=0.0, score=70.0),
        record("hint"),
        record("solution", name="00.q1"),
    ]
    assert standing("00.q4", tries) == Standing(3, "CORRECT", 1.0, 80.0, 1, False)
    assert standing("00.q1", tries).solution


def test_the_table_says_how_far_one_is():
    empty = repr(ProgressCard([]))
    assert "00 start here" in empty
    assert "No prediction was compared" in empty
    (first, *_) = course_progress([record("attempt", outcome="CORRECT", share=1.0, score=81.25)])
    assert first.signs() == "○ ○ ○ ●"
    assert first.row()[2:] == ["open", "81.2 %"]
    (first, *_) = course_progress([record("attempt", name="00.quiz", outcome="WRONG", share=0.5)])
    assert first.row()[2] == "50 %"
    assert "<table>" in ProgressCard([])._repr_html_()


def test_the_command_prints_and_merges(path, tmp_path, capsys):
    other = tmp_path / "other.json"
    merge([record("attempt", outcome="WRONG", share=0.0)], other)
    assert cli.main(["progress", "--merge", str(other)]) == 0
    printed = capsys.readouterr().out
    assert "1 new records" in printed
    assert "○ ○ ○ ◐" in printed
    assert str(path) in printed


@pytest.mark.parametrize(
    ("name", "kept", "message"),
    [
        ("none.json", "mine.json", "none.json is not there. Expected the progress.json of another machine"),
        ("bad.json", "mine.json", "is not a progress file"),
        ("bad.json", "off", "switched off by TLCOURSE_PROGRESS"),
    ],
)
def test_the_command_says_what_is_wrong(tmp_path, monkeypatch, capsys, name, kept, message):
    monkeypatch.setenv("TLCOURSE_PROGRESS", kept if kept == "off" else str(tmp_path / kept))
    (tmp_path / "bad.json").write_text('{"x": 1}')
    assert cli.main(["progress", "--merge", str(tmp_path / name)]) == 1
    assert message in capsys.readouterr().err


def test_the_panel_looks_again_when_asked(path):
    panel = ProgressPanel()
    before = panel.table.value
    assert str(path) in before
    keep("attempt", "00.q1", outcome="CORRECT", share=1.0)
    panel.refresh.click()
    assert panel.table.value != before
    assert "● ○ ○ ○" in panel.table.value


def test_the_panel_shows_a_broken_file_and_lives(path):
    path.parent.mkdir()
    path.write_text("nonsense")
    assert "is not a progress file" in ProgressPanel().table.value


def test_commands_that_do_not_exist_are_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["fly"])
    assert "invalid choice: 'fly'" in capsys.readouterr().err
