"""Marking what a class hands in: good rows stay right, whatever stands next to them."""

import csv
import json
import os
import re
import time
from pathlib import PurePosixPath

import nbformat
import pytest

from tlcourse import cli
from tlcourse.lessons.registry import MODULES, find
from tlcourse.teaching import cell_code, grade, marking, reading
from tlcourse.teaching.judges import Bench, Judge, JudgeError, StoppedError
from tlcourse.teaching.marks import Mark, Row, guarded, names_in, write_marks
from tlcourse.teaching.report import report
from tlcourse.teaching.student_edition import cells_of
from tlcourse.teaching.submissions import Submission, find_submissions, names_of

FIRST = find("00.q1")
SOLUTION = grade.PACKAGE / "lessons" / "nb00_start_here" / "exercises.md"


def references(number):
    return {name.partition(".")[2]: find(name).reference for name in names_in(number)}


def notebook(number, answers=None):
    """A notebook with the exercises' own cells, and answers by short name."""
    cells = cells_of(number)
    for name, source in (answers or {}).items():
        cells[f"{number}-{name}-answer"].source = source
    return nbformat.v4.new_notebook(cells=list(cells.values()))


def put(folder, student, written, name="00_start_here.ipynb"):
    path = folder / student / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(written if isinstance(written, str) else nbformat.writes(written), encoding="utf-8")
    return path


def marks_in(path):
    with open(path, encoding="utf-8", newline="") as file:
        return {row["submission"]: row for row in csv.DictReader(file)}


# --- a class with everything that can happen ---------------------------------------------------------------

OUTSIDE = "outside.txt"  # what a hostile answer tries to write, beside the submissions


def function(body):
    return "def labels_needed(curve, goal):\n" + "".join(f"    {line}\n" for line in body.splitlines())


def hostile(outside):
    """Answers that attack, by student and exercise. Those that only look around get ERROR or WRONG, not more."""
    forged = """
import os, json, struct
value = {"kind": "dict", "of": [["result", 1]]}
text = json.dumps({"kind": "dict", "of": [["value", value], ["error", None]]}).encode()
for number in range(3, 60):
    try:
        os.write(number, struct.pack("<Q", 8 + len(text)) + struct.pack("<Q", len(text)) + text)
    except OSError:
        pass
"""
    return {
        "endless": {"q2": function("while True: pass")},
        "memory": {"q1": "hoard = []\nwhile True: hoard.append(bytearray(10**7))"},
        "exits": {
            "q1": "import sys\nsys.exit(0)",
            "q2": function("import os\nos._exit(0)"),
            "quiz": "raise KeyboardInterrupt",
        },
        "reads": {
            "q1": "from tlcourse.lessons.nb00_start_here.checks import q1\nexec(q1.reference)",
            "q2": f"text = open({str(SOLUTION)!r}).read()\n" + function("return text"),
            "q3": "import inspect\nfrom tlcourse.lessons.nb00_start_here import checks\ninspect.getsource(checks)",
        },
        "writes": {
            "q1": f"open({str(outside)!r}, 'w').write('x')\n{FIRST.answer} = [1]",
            "q3": "import socket\nsocket.create_connection(('127.0.0.1', 9))",
            "q4": f"import subprocess\nsubprocess.run(['touch', {str(outside)!r}])\nlearn = lambda five: 1",
        },
        "forges": {
            "q1": forged + f"{FIRST.answer} = [1]",
            "q2": forged + function("return 1"),
            "q3": "class Evil:\n    def __reduce__(self):\n        import os\n"
            f"        return (os.system, ('touch {outside}',))\ncarry_over = lambda source, target: Evil()",
            "quiz": "class Letters(dict):\n    def get(self, *_): return 'b'\nanswers = Letters(q1=10**5000)",
        },
        "loud": {
            "q2": "for _ in range(1000): print('x' * 10**6)\n" + find("00.q2").reference,
            "q3": "undefined )(",
            "q4": "class Awful(Exception):\n    def __str__(self): raise ValueError\nraise Awful",
            "quiz": "answers = dict(q1='<script>alert(1)</script>', q2='=cmd|calc', q3='\\x1b[31m\\ud800', q4=[])",
        },
    }


def odd_notebooks(folder):
    """Notebooks that good students hand in, after accidents."""
    deleted = notebook("00", references("00"))
    deleted.cells = [cell for cell in deleted.cells if not re.search("q[24]-answer", cell.id)]
    put(folder, "deleted", deleted)

    renamed = notebook("00", {"q2": find("00.q2").reference.replace("labels_needed", "needed_labels")})
    next(cell for cell in renamed.cells if cell.id == "00-q3-answer").cell_type = "raw"
    put(folder, "renamed", json.dumps(renamed))

    edited = notebook("00")
    for cell in edited.cells:
        if cell.id.endswith("-check"):
            cell.source = f"labels_needed = {FIRST.answer} = 'all points'\nraise SystemExit"
            cell.metadata.nbgrader.points = 100
    put(folder, "edited", edited)

    lost = notebook("00", {"q2": find("00.q2").reference, "q3": "%time\n!ls\n" + find("00.q3").reference})
    for cell in lost.cells:
        cell.metadata = {}
        cell.id = f"new{cell.id[3:].replace('-', '')}"
    put(folder, "lost", lost)

    checked = f"from tlcourse.lessons.nb00_start_here import checks as ex\n{FIRST.reference}"
    asking = "ex.q2.hint(); ex.q2.check(labels_needed)\nprint(guess('00.x', {'a': 1}, '%').compare({}))"
    smallest = function("return smallest(n for n in curve if curve[n] >= goal)") + asking
    helped = notebook("00", {"q1": f"{checked}\nex.q1.check({FIRST.answer})", "q2": smallest})
    helper = "import math\nfallback = None\ndef smallest(numbers): return min(numbers, default=fallback)\n1 / 0"
    helped.cells.insert(0, nbformat.v4.new_code_cell(helper))
    helped.cells.append(nbformat.v4.new_code_cell(find("00.q3").alternative))
    put(folder, "helped", helped)

    put(folder, "no json", "this is <b>no</b> notebook")
    put(folder, "huge", " " * (reading.LARGEST + 1))
    put(folder, "other", notebook("00"), "x.ipynb").write_text('{"cells": [{"id": "07-q1-answer"}]}')
    (folder / "folder" / "00_start_here.ipynb").mkdir(parents=True)


@pytest.fixture(scope="module")
def handed_in(tmp_path_factory):
    """The whole class, marked once."""
    folder = tmp_path_factory.mktemp("class")
    outside = folder / OUTSIDE
    put(folder / "in", "=perfect", notebook("00", references("00")))
    put(folder / "in", "unattempted", notebook("00"))
    for student, answers in hostile(outside).items():
        put(folder / "in", student, notebook("00", answers))
    odd_notebooks(folder / "in")
    status = cli.main(["grade", str(folder / "in"), "--out", str(folder / "marks.csv"), "--seed", "7", "--jobs", "1"])
    assert status == 0
    return folder


@pytest.fixture(scope="module")
def rows(handed_in):
    return marks_in(handed_in / "marks.csv")


QUESTIONS = ("q1", "q2", "q3", "q4", "quiz")


def outcomes(row):
    return [row[name] for name in QUESTIONS]


def page(handed_in, student):
    return (handed_in / "marks-reports" / student / "00_start_here.html").read_text(encoding="utf-8")


def test_a_perfect_and_an_unattempted_notebook_are_marked_right(rows):
    assert outcomes(rows["'=perfect"]) == ["CORRECT"] * 5
    assert rows["'=perfect"]["points"] == rows["'=perfect"]["of"] == "7"
    assert outcomes(rows["unattempted"]) == ["NOT ATTEMPTED"] * 5
    assert rows["unattempted"]["points"] == "0"
    assert len(rows) == 2 + 7 + 9


def test_nobody_gets_a_point_by_force(rows):
    for student in hostile(OUTSIDE):
        right = [name for name in QUESTIONS if rows[student][name] == "CORRECT"]
        assert right == (["q2"] if student == "loud" else []), (student, rows[student])


def test_nothing_is_left_outside(handed_in):
    assert sorted(path.name for path in handed_in.iterdir()) == ["in", "marks-reports", "marks.csv"]


@pytest.mark.parametrize(
    ("student", "texts"),
    [
        ("endless", ["did not come to an end", "20 seconds", "while True: pass"]),
        ("memory", ["more than 1 GiB"]),
        ("exits", ["calls exit", "ended itself", "KeyboardInterrupt"]),
        ("reads", ["may not read", "got StandIn"]),
        ("writes", ["may not write", "network", "start other programs"]),
        ("forges", ["a Evil came"]),
        ("loud", ["SyntaxError", "its message cannot be shown"]),
    ],
)
def test_a_report_says_what_happened(handed_in, student, texts):
    text = page(handed_in, student)
    for wanted in texts:
        assert wanted in text


def test_what_was_deleted_or_renamed_is_named(handed_in, rows):
    assert outcomes(rows["deleted"]) == ["CORRECT", "NO ANSWER CELL", "CORRECT", "NO ANSWER CELL", "CORRECT"]
    assert "the cell for this answer is gone, and no other one defines" in page(handed_in, "deleted")
    assert outcomes(rows["renamed"])[1:3] == ["ERROR", "NO ANSWER CELL"]
    text = page(handed_in, "renamed")
    assert "defines <code>needed_labels</code>, but <code>labels_needed</code> was expected" in text
    assert "is a raw cell" in text


def test_editing_the_checks_changes_nothing(rows):
    assert outcomes(rows["edited"]) == ["NOT ATTEMPTED"] * 5
    assert rows["edited"]["of"] == "7"


def test_answers_are_found_without_their_cells_names_and_with_their_helpers(rows):
    assert outcomes(rows["lost"]) == ["NO ANSWER CELL", "CORRECT", "CORRECT", "NO ANSWER CELL", "NO ANSWER CELL"]
    assert "left out, since it is no Python: `%time`, `!ls`" in rows["lost"]["note"]
    assert outcomes(rows["helped"])[:3] == ["CORRECT"] * 3
    assert "taken along from other cells: fallback, smallest" in rows["helped"]["note"]
    assert "was left as it was; `carry_over` was taken from another cell" in rows["helped"]["note"]


def test_what_is_no_notebook_has_a_row_that_says_so(rows):
    wanted = {
        "no json": "it is no notebook: its text is not JSON",
        "huge": "it has 32 MiB, and at most 32 are read",
        "other": "it seems to be notebook 07; exercises that can be marked are in 00",
        "folder": "this is a folder with the name of a notebook",
    }
    for student, note in wanted.items():
        assert note in rows[student]["note"]
        assert rows[student]["points"] == rows[student]["of"] == ""


def test_reports_hold_strangers_text_as_text_and_no_solutions(handed_in):
    for path in (handed_in / "marks-reports").rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert "<script" not in text
        assert "\x1b" not in text
        assert "the seed 7;" in text
        assert not re.search(r"(src|href)=", text)
        if not {"=perfect", "renamed", "lost", "loud"} & set(path.parts):  # those wrote the solution themselves
            assert "not the first one met" not in text
    assert "&lt;script&gt;" in page(handed_in, "loud")
    text = page(handed_in, "=perfect")
    assert f"<b>7 of 7 points.</b> Right: 1. {FIRST.title}" in text
    assert time.strftime("%Y-") in text


# --- reading ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[]", "has no cells"),
        (b'{"cells": 3}', "has no cells"),
        (b'{"worksheets": []}', "format of 2014"),
        (b"\xff\xfe{", "not JSON"),
        (b"[" * 100_000, "too many brackets"),
        (b"", "not JSON"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path, content, message):
    path = tmp_path / "00_x.ipynb"
    path.write_bytes(content)
    with pytest.raises(reading.SubmissionError, match=message):
        reading.read_cells(path)


def test_cells_of_any_form_are_taken_as_far_as_they_go(tmp_path):
    odd = {"cell_type": ["code"], "source": 3, "metadata": [], "id": {}}
    good = {"cell_type": "code", "source": ["a\n", 3, "b"], "metadata": {"nbgrader": {"grade_id": "00-q1-answer"}}}
    path = tmp_path / "x.ipynb"
    path.write_text("\ufeff" + json.dumps({"cells": [3, {}, odd, good]}), encoding="utf-8")
    read = reading.read_cells(path)
    assert [cell.kind for cell in read] == ["raw", "raw", "code"]
    assert read[2] == reading.Cell("code", ("00-q1-answer",), "a\nb")


def test_the_number_comes_from_the_cells_or_from_the_name(tmp_path):
    named = [reading.Cell("code", ("00-q1-answer",), "")]
    assert reading.notebook_number(named, tmp_path / "03_mine.ipynb") == "00"
    for name in ("Ana_2024_00_start_here (1).ipynb", "my start_here.ipynb"):
        assert reading.notebook_number([], tmp_path / name) == "00"
    with pytest.raises(reading.SubmissionError, match="neither its cells nor its name"):
        reading.notebook_number([], tmp_path / "homework.ipynb")
    with pytest.raises(reading.SubmissionError, match="it seems to be notebook 05"):
        reading.notebook_number([], tmp_path / "05_choosing_a_source.ipynb")


def test_of_several_cells_for_one_answer_the_last_written_one_counts():
    item = find("00.q2")
    names = ("00-q2-answer",)
    starter, mine = reading.Cell("code", names, item.starter), reading.Cell("code", names, "labels_needed = min")
    assert reading.find_answer([mine, starter], item).cell is mine
    found = reading.find_answer([starter, starter, mine, mine], item)
    assert found.cell is mine
    assert "there are 2 cells for this answer" in found.note
    assert reading.find_answer([starter], item) == reading.FoundAnswer(starter)


def test_files_are_found_and_named_by_student(tmp_path):
    for name in ("ana/00_x.ipynb", "ana/01_x.ipynb", "ben/sub/00_x.ipynb", "flat/a_00_x.ipynb", "flat/b_00_x.ipynb"):
        put(tmp_path, os.path.dirname(name), "{}", os.path.basename(name))
    put(tmp_path, "ana/.ipynb_checkpoints", "{}", "00_x-checkpoint.ipynb")
    put(tmp_path, "ana", "{}", "notes.txt")
    found = find_submissions([tmp_path])
    numbers = [reading.notebook_number([], s.path.with_name(s.path.name.replace("_x", "_start_here"))) for s in found]
    assert names_of(found, numbers) == ["ana", "ana", "ben/sub", "flat/a_00_x", "flat/b_00_x"]
    several = find_submissions([tmp_path / "ana" / "00_x.ipynb", tmp_path / "ben" / "sub" / "00_x.ipynb"])
    assert names_of(several, ["00", "00"]) == ["ana", "ben/sub"]
    assert names_of(find_submissions([tmp_path / "ana" / "00_x.ipynb"]), ["00"]) == ["00_x"]
    assert len(find_submissions([tmp_path, tmp_path / "ana"])) == 5


def test_links_out_of_the_folder_are_not_followed(tmp_path):
    secret = put(tmp_path, "elsewhere", "{}", "secret.ipynb")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "00_x.ipynb").symlink_to(secret)
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    os.mkfifo(tmp_path / "in" / "pipe.ipynb")
    found = find_submissions([tmp_path / "in"])
    assert [submission.complaint[:12] for submission in found] == ["this is a li", "this is no f"]


# --- code of cells ------------------------------------------------------------------------------------------


def test_lines_for_the_notebook_are_left_out_and_named():
    code, note = cell_code.as_python("%matplotlib inline\nx = 7 \\\n  % 4\n!pip install y\nfiles = !ls\nx?")
    assert code.count("\n") == 6
    assert "`%matplotlib inline`, `!pip install y`, `files = !ls`" in note
    assert cell_code.as_python("x = (7\n% 4)") == ("x = (7\n% 4)", "")
    left_out = "left out, since it is no Python: `%%time`"
    assert cell_code.as_python("# mine\n%%time\nx = 1") == ("# mine\n\nx = 1", left_out)
    assert cell_code.as_python("x = )")[0] == "x = )"
    with pytest.raises(cell_code.NotPythonError, match="begins with `%%bash`"):
        cell_code.as_python("%%bash\nls")


def test_programs_are_compared_without_comments():
    assert cell_code.same_program("x = 1  # one", "x  =  1\n")
    assert not cell_code.same_program("x = 1", "x = 2")
    assert cell_code.same_program("x = )", "x  = )")
    assert not cell_code.same_program("(" * 10_000, "x")


def test_an_answer_takes_along_what_it_uses_and_no_more():
    twice = "def twice(x):\n    return base * x"
    others = ["import numpy as np\nbase = 2\nheavy = train()", twice, "base = 3", "x = ("]
    mine = "def f(x, *more):\n    y = np.abs([i for i in x])\n    return twice(y) + torch.ones(1)"
    code, names = cell_code.taken_along(mine, others, {"torch"})
    assert names == ["base", "np", "twice"]
    assert code == f"import numpy as np\n{twice}\nbase = 3"
    assert cell_code.taken_along("x = )", others, {}) == ("", [])


# --- marks, reports and the command ------------------------------------------------------------------------


@pytest.fixture
def submission(tmp_path):
    return Submission(tmp_path / "x.ipynb", PurePosixPath("x.ipynb"))


def test_the_table_is_safe_and_whole(tmp_path, submission):
    given = {"=1": "'=1", "+1": "'+1", "-a": "'-a", "@a": "'@a", "a=1": "a=1", "a\n=b": "a =b"}
    assert {text: guarded(text) for text in given} == given
    marks = [Mark("00.q1", "CORRECT", "", share=1), Mark("00.quiz", "WRONG", "", share=0.5, notes=['odd, "very"'])]
    path = tmp_path / "new" / "marks.csv"
    write_marks(path, [Row(submission, "00", marks, name="ä"), Row(submission, note="no JSON", name="b")])
    assert path.read_text(encoding="utf-8").splitlines() == [
        "submission,notebook,points,of,q1,quiz,note",
        'ä,00,2,3,CORRECT,WRONG,"quiz: odd, ""very"""',
        "b,,,,,,no JSON",
    ]


def test_a_report_gives_a_hint_and_escapes(submission):
    marks = [Mark("00.q2", "WRONG", "not <b>yet</b>", [["for", "<i>"]], source="x < 1", notes=["<u>"])]
    text = report(Row(submission, "00", marks, name="<ana>"), 3, "2026-01-01", "Fence.")
    for escaped in ("&lt;ana&gt;: notebook 00", "not &lt;b&gt;yet", "&lt;i&gt;", "x &lt; 1", "&lt;u&gt;"):
        assert escaped in text
    assert "A hint: Go through" in text
    assert "prefers-color-scheme: dark" in text
    assert "could not be marked: no JSON &amp; more." in report(Row(submission, note="no JSON & more"), 3, "d", "")


def test_control_characters_of_strangers_go():
    assert marking.clean("a\x1b[31mb\u202ec\nd\te\r\ud800") == "a[31mbc\nd\te?"
    assert len(marking.clean("x" * 10**6)) == marking.LONGEST_TEXT


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["."], "no notebook was found"),
        (["a.ipynb", "--out", "a.ipynb"], "is a folder or a submission"),
        (["a.ipynb", "--jobs", "0"], "--jobs 0 came"),
        (["a.ipynb", "--seed", "-1"], "--seed -1 came"),
        (["a.ipynb", "--reports", "a.ipynb"], "is a file. Expected a folder"),
        (["a.ipynb", "--out", "a.ipynb/marks.csv"], "could not write"),
    ],
)
def test_what_cannot_work_is_refused_at_once(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    if "a.ipynb" in words:
        put(tmp_path, "", "{}", "a.ipynb")
    assert cli.main(["grade", *words, *([] if "--out" in words else ["--out", "marks.csv"])]) == 1
    assert message in capsys.readouterr().err


# --- judges -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judge():
    mine = Judge()
    yield mine
    mine.close()


def test_a_judge_that_hangs_or_dies_is_replaced(judge):
    with pytest.raises(JudgeError, match="TimeLimit"):
        judge.ask(time.sleep, 60, seconds=0.5)
    with pytest.raises(JudgeError, match="Died"):
        judge.ask(os._exit, 1)
    with pytest.raises(JudgeError, match="ValueError"):
        judge.ask(int, "x")
    assert judge.ask(max, 1, 2) == 2


@pytest.mark.parametrize("number", MODULES)
def test_right_answers_of_every_notebook_are_right_here_too(judge, tmp_path, number):
    """All but the challenges that train; the benchmark marks those."""
    path = put(tmp_path, "a", notebook(number, references(number)), f"{number}_x.ipynb")
    for name in names_in(number):
        if name == "12.q4" or getattr(find(name), "level", "") != "Challenge":
            assert judge.ask(marking.mark, str(path), name, 5)["outcome"] == "CORRECT", name


def test_a_seed_repeats_what_was_drawn(judge, tmp_path):
    path = str(put(tmp_path, "a", notebook("00", {"q2": find("00.q2").mistakes[2].answer})))
    first, again = (judge.ask(marking.mark, path, "00.q2", 5) for _ in range(2))
    assert first["details"] == again["details"]
    assert first["mistake"] == "accuracy instead of labels"


class OneJudge:
    """Judges whose course's own answers miss their goal with some seeds."""

    def __init__(self, unfair):
        self.unfair = unfair

    def share(self, work, things):
        return [work(self, thing) for thing in things]

    def ask(self, work, name, seed, exercise):
        return {"outcome": "WRONG" if seed in self.unfair else "CORRECT", "message": "74 %"}


def test_a_seed_is_drawn_again_when_the_courses_own_answer_misses_its_goal(monkeypatch, capsys):
    drawn = iter([1, 2, 3])
    monkeypatch.setattr(grade.secrets, "randbelow", lambda highest: next(drawn))
    assert grade.fair_seed(OneJudge({1, 2}), ["00"]) == 3
    assert "with the seed 2, the course's own answer to 00.q4 misses its goal" in capsys.readouterr().out
    assert grade.fair_seed(OneJudge({1}), ["00"], 1) == 1
    monkeypatch.setattr(grade.secrets, "randbelow", lambda highest: 1)
    with pytest.raises(ValueError, match="5 seeds were drawn"):
        grade.fair_seed(OneJudge({1}), ["00"])
    assert grade.fair_seed(OneJudge({1}), []) == 1


def test_judges_share_the_work_and_an_interruption_ends_them():
    judges = Bench(2)
    assert judges.share(lambda judge, thing: 2 * thing, [3, 1, 2]) == [6, 2, 4]

    def interrupted(judge, thing):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judges.share(interrupted, [1, 2, 3])
    assert judges.share(lambda judge, thing: thing, [1]) == [None]
    with pytest.raises(StoppedError):
        judges._judges[0].ask(max, 1, 2)


def test_what_was_marked_before_an_interruption_is_kept(tmp_path, monkeypatch, capsys):
    def marked(judge, path, name, *_):
        if path.parent.name == "b":
            raise KeyboardInterrupt
        return Mark(name, "CORRECT", "", share=1)

    for student in "ab":
        put(tmp_path / "in", student, notebook("00"))
    monkeypatch.setattr(grade, "_mark", marked)
    monkeypatch.setattr(grade, "fair_seed", lambda *_: 1)
    monkeypatch.setattr(marking, "walls", list)  # no answer is run, so no fence is needed
    monkeypatch.setattr(marking, "begin", len)
    assert cli.main(["grade", str(tmp_path / "in"), "--out", str(tmp_path / "marks.csv"), "--jobs", "1"]) == 1
    assert "1 of 2 notebooks" in capsys.readouterr().out
    assert list(marks_in(tmp_path / "marks.csv")) == ["a"]
