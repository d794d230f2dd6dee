"""Marking what a class hands in: good rows stay right, whatever stands next to them."""

import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import PurePosixPath

import nbformat
import pytest
from classroom import marks_in, needs_fence, notebook, put, references

from tlcourse import cli
from tlcourse.exercises.runner.process import Reply
from tlcourse.lessons.registry import MODULES, find
from tlcourse.teaching import bubblewrap, cell_code, grade, marking, reading
from tlcourse.teaching.judges import Bench, Judge, JudgeError, StoppedError
from tlcourse.teaching.marks import Mark, Row, guarded, names_in, write_marks
from tlcourse.teaching.reading import Cell
from tlcourse.teaching.report import report
from tlcourse.teaching.submissions import Submission, find_submissions, names_of
from tlcourse.teaching.unfinished import Unfinished

FIRST, SECOND = find("00.q1"), find("00.q2")
SOLUTION = bubblewrap.PACKAGE / "lessons" / "nb00_start_here" / "exercises.md"
QUESTIONS = ("q1", "q2", "q3", "q4", "quiz")

# --- a class with everything that can happen ---------------------------------------------------------------


def function(body):
    return "def labels_needed(curve, goal):\n" + "".join(f"    {line}\n" for line in body.split("\n"))


def hostile(outside):
    """Answers that attack, by student and exercise. Those that only look around get ERROR or WRONG, not more."""
    forged = """
import os, struct
text = b'{"kind": "dict", "of": [["value", {"kind": "dict", "of": [["result", 1]]}], ["error", null]]}'
for number in range(3, 60):
    try:
        os.write(number, struct.pack("<QQ", 16 + len(text), len(text)) + text + struct.pack("<Q", 0))
    except OSError:
        pass
"""
    return {
        "takes": {
            "q1": "hoard = []\nwhile True: hoard.append(bytearray(10**7))",
            "q2": function("while True: pass"),
            "quiz": "import os\nwhile True: os.fork()",
        },
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
            "q3": "import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=5)",
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
            "q2": "for _ in range(1000): print('x' * 10**6)\n" + SECOND.reference,
            "q3": "undefined )(",
            "q4": "class Awful(Exception):\n    def __str__(self): raise ValueError\nraise Awful",
            "quiz": "answers = dict(q1='<script>alert(1)</script>', q2='=cmd|calc', q3='\\x1b[31m\\ud800', q4=[])",
        },
    }


def odd_notebooks(folder):
    """Notebooks that good students hand in, after accidents."""
    renamed = notebook("00", {"q2": SECOND.reference.replace("labels_needed", "needed_labels")})
    next(cell for cell in renamed.cells if cell.id == "00-q3-answer").cell_type = "raw"
    renamed.cells = [cell for cell in renamed.cells if cell.id != "00-q4-answer"]
    put(folder, "renamed", json.dumps(renamed))

    edited = notebook("00")
    for cell in edited.cells:
        if cell.id.endswith("-check"):
            cell.source = f"labels_needed = {FIRST.answer} = 'all points'\nraise SystemExit"
            cell.metadata.nbgrader.points = 100
    put(folder, "edited", edited)

    lost = notebook("00", {"q2": SECOND.reference, "q3": "%time\n!ls\n" + find("00.q3").reference})
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
    put(folder, "other", '{"cells": [{"id": "13-q1-answer"}]}', "x.ipynb")
    put(folder, "renamed file", "{}", "00_start_here.ipynb.txt")
    put(folder, "packed", "PK", "all.zip")
    put(folder, "", "PK", "sent by mail.zip")
    (folder / "empty").mkdir()
    (folder / "folder" / "00_start_here.ipynb").mkdir(parents=True)


@pytest.fixture(scope="module")
def handed_in(tmp_path_factory):
    """The whole class, marked once."""
    needs_fence()
    folder = tmp_path_factory.mktemp("class")
    put(folder / "in", "=perfect", notebook("00", references("00")))
    put(folder / "in", "unattempted", notebook("00"))
    for student, answers in hostile(folder / "outside.txt").items():
        put(folder / "in", student, notebook("00", answers))
    odd_notebooks(folder / "in")
    status = cli.main(["grade", str(folder / "in"), "--out", str(folder / "marks.csv"), "--seed", "7", "--jobs", "1"])
    assert status == 0
    return folder


@pytest.fixture(scope="module")
def rows(handed_in):
    return marks_in(handed_in / "marks.csv")


def page(handed_in, student):
    return (handed_in / "marks-reports" / student / "00_start_here.html").read_text(encoding="utf-8")


NO, YES, ERROR, WRONG, GONE = "NOT ATTEMPTED", "CORRECT", "ERROR", "WRONG", "NO ANSWER CELL"


@pytest.mark.parametrize(
    ("student", "outcomes", "texts"),
    [
        ("'=perfect", [YES] * 5, []),
        ("unattempted", [NO] * 5, []),
        ("edited", [NO] * 5, []),
        ("takes", [ERROR, ERROR, NO, NO, ERROR], ["of memory|more memory than", "20 seconds", "while True: pass"]),
        ("exits", [ERROR, ERROR, NO, NO, ERROR], ["calls exit", "ended itself", "KeyboardInterrupt"]),
        ("reads", [None, ERROR, ERROR, NO, NO], ["PermissionError|FileNotFoundError", "got StandIn"]),
        ("writes", [ERROR, NO, ERROR, WRONG, NO], ["No such file", "OSError|Network is unreachable"]),
        ("forges", [None, None, ERROR, NO, None], ["a Evil came"]),
        ("loud", [NO, YES, ERROR, ERROR, WRONG], ["SyntaxError", "its message cannot be shown", "&lt;script&gt;"]),
        ("renamed", [NO, ERROR, GONE, GONE, NO], ["<code>labels_needed</code> was expected", "is a raw cell"]),
        (
            "lost",
            [GONE, YES, YES, GONE, GONE],
            ["left out, since it is no Python: <code>%time</code>, <code>!ls</code>"],
        ),
        (
            "helped",
            [YES, YES, YES, NO, NO],
            ["from other cells: fallback, smallest", "<code>carry_over</code> was taken"],
        ),
    ],
)
def test_every_row_is_right_whatever_stands_next_to_it(handed_in, rows, student, outcomes, texts):
    row = rows[student]
    for name, outcome in zip(QUESTIONS, outcomes, strict=True):
        assert row[name] == outcome if outcome else row[name] in (ERROR, WRONG), (name, row)
    assert (row["sandbox"], row["of"]) == ("bubblewrap", "7")
    assert row["points"] == {"'=perfect": "7", "loud": "1", "lost": "2", "helped": "3"}.get(student, "0")
    for wanted in texts:
        assert re.search(wanted, page(handed_in, student)), wanted


NO_NOTEBOOKS = {
    "no json": "00_start_here.ipynb: it is no notebook: its text is not JSON",
    "other": "x.ipynb: it seems to be notebook 13; exercises that can be marked are in 00",
    "folder": "00_start_here.ipynb: this is a folder with the name of a notebook",
    "renamed file": "00_start_here.ipynb.txt: this is no file whose name ends in .ipynb",
    "packed": "all.zip: this is an archive; unpack it",
    "sent by mail.zip": "sent by mail.zip: this is an archive; unpack it",
    "empty": "empty: this is a folder without a notebook",
}


def test_what_is_no_notebook_has_a_row_that_says_so(rows):
    for student, note in NO_NOTEBOOKS.items():
        assert note in rows[student]["note"]
        assert rows[student]["points"] == rows[student]["of"] == ""
    assert len(rows) == 12 + len(NO_NOTEBOOKS)


def test_reports_hold_strangers_text_as_text_and_no_solutions(handed_in):
    for path in (handed_in / "marks-reports").rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        for never in ("<script", "\x1b", "src=", "href="):
            assert never not in text
        assert "the seed 7;" in text
        assert "fenced in by bubblewrap" in text
        if not {"=perfect", "renamed", "lost", "loud"} & set(path.parts):  # those wrote the solution themselves
            assert "not the first one met" not in text
    text = page(handed_in, "=perfect")
    assert re.search(rf"<b>7 of 7 points.</b>\s+Right: 1. {FIRST.title}", text)
    assert time.strftime("%Y-") in text
    assert sorted(path.name for path in handed_in.iterdir()) == ["in", "marks-reports", "marks.csv"]


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
        (None, "it has 256 MiB, and at most 256 are read"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path, content, message):
    path = tmp_path / "00_x.ipynb"
    path.write_bytes(content or b"")
    if content is None:
        os.truncate(path, reading.LARGEST + 1)
    with pytest.raises(reading.SubmissionError, match=message):
        reading.read_cells(path)


def test_cells_of_any_form_are_taken_as_far_as_they_go(tmp_path):
    odd = {"cell_type": ["code"], "source": 3, "metadata": [], "id": {}}
    good = {"cell_type": "code", "source": ["a\n", 3, "b"], "metadata": {"nbgrader": {"grade_id": "00-q1-answer"}}}
    output = {"cell_type": "code", "source": "x", "outputs": ["1" * 34_000_000]}
    path = tmp_path / "x.ipynb"
    path.write_text("\ufeff" + json.dumps({"cells": [3, {}, odd, good, output]}), encoding="utf-8")
    read = reading.read_cells(path)
    assert [cell.kind for cell in read] == ["raw", "raw", "code", "code"]
    assert read[2] == Cell("code", ("00-q1-answer",), "a\nb")


def test_the_number_comes_from_the_cells_or_from_the_name(tmp_path):
    named = [Cell("code", ("00-q1-answer",), "")]
    assert reading.notebook_number(named, tmp_path / "03_mine.ipynb") == "00"
    for name in ("Ana_2024_00_start_here (1).ipynb", "my start_here.ipynb"):
        assert reading.notebook_number([], tmp_path / name) == "00"
    for name, message in {"homework": "neither its cells nor its name", "77_x": "it seems to be notebook 77"}.items():
        with pytest.raises(reading.SubmissionError, match=message):
            reading.notebook_number([], tmp_path / f"{name}.ipynb")


WHOLE = SECOND.reference
HEAD, TAIL = WHOLE.strip().rsplit("\n", 1)  # the line that returns


@pytest.mark.parametrize(
    ("sources", "counts"),
    [
        ([WHOLE, SECOND.starter], WHOLE),
        ([SECOND.starter, "labels_needed = min", WHOLE], WHOLE),
        ([WHOLE, ""], WHOLE),
        ([WHOLE, "# done"], WHOLE),
        ([WHOLE, "import torch"], WHOLE),
        ([HEAD, TAIL], f"{HEAD}\n{TAIL}"),
        (["labels_needed = (", "min)"], "labels_needed = (\nmin)"),
        (["a = 1", "b = 2"], "a = 1\nb = 2"),
        ([SECOND.starter, ""], SECOND.starter),
    ],
)
def test_a_copied_answer_counts_once_and_a_divided_one_whole(sources, counts):
    found = reading.find_answer([Cell("code", ("00-q2-answer",), source) for source in sources], SECOND)
    assert found.cell.source == counts


def test_files_are_found_and_named_by_student(tmp_path):
    for name in ("ana/00_x.ipynb", "ana/01_x.ipynb", "ben/sub/00_x.ipynb", "flat/a_00_x.ipynb", "flat/b_00_x.ipynb"):
        put(tmp_path, os.path.dirname(name), "{}", os.path.basename(name))
    put(tmp_path, "ana/.ipynb_checkpoints", "{}", "00_x-checkpoint.ipynb")
    put(tmp_path, "ana", "{}", "notes.txt")
    put(tmp_path, "marks-reports/ana", "{}", "00_x.html")
    found = find_submissions([tmp_path], [tmp_path / "marks-reports"])
    numbers = [reading.notebook_number([], s.path.with_name(s.path.name.replace("_x", "_start_here"))) for s in found]
    assert names_of(found, numbers) == ["ana", "ana", "ben/sub", "flat/a_00_x", "flat/b_00_x"]
    several = find_submissions([tmp_path / "ana" / "00_x.ipynb", tmp_path / "ben" / "sub" / "00_x.ipynb"])
    assert names_of(several, ["00", "00"]) == ["ana", "ben/sub"]
    assert names_of(find_submissions([tmp_path / "ana" / "00_x.ipynb"]), ["00"]) == ["00_x"]
    assert len(find_submissions([tmp_path, tmp_path / "ana"], [tmp_path / "marks-reports"])) == 6  # and its notes


def test_links_out_of_the_folder_are_not_followed(tmp_path):
    secret = put(tmp_path, "elsewhere", "{}", "secret.ipynb")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "00_x.ipynb").symlink_to(secret)
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in")
    os.mkfifo(tmp_path / "in" / "pipe.ipynb")
    found = find_submissions([tmp_path / "in"])
    assert [submission.complaint[:12] for submission in found] == ["this is a li", "this is a fo", "this is no f"]


def broken(draw, whole):
    """A notebook as accidents leave it: cut, with other bytes, without its structure, or with odd cells."""
    way = draw.randrange(4)
    if way == 0:
        return whole[: draw.randrange(len(whole))]
    if way == 1:
        data = bytearray(whole)
        for _ in range(draw.randrange(1, 30)):
            data[draw.randrange(len(data))] = draw.randrange(256)
        return bytes(data)
    content = json.loads(whole)
    odd = [None, 3, "\u2028", "x = (", "%%bash\nls", "await x", "def f():\n\x00", [], {}, [[]], "\ud800", "(" * 999]
    for cell in content["cells"]:
        if draw.random() < 0.5:
            cell[draw.choice(["source", "id", "metadata", "cell_type"])] = draw.choice(odd)
    if way == 2:
        content[draw.choice(["cells", "metadata", "nbformat"])] = draw.choice([*odd, content["cells"] * 3])
    return json.dumps(content).encode()


def test_two_hundred_broken_notebooks_have_a_row_each_and_nothing_escapes(tmp_path, monkeypatch):
    monkeypatch.setattr(marking, "_box", lambda numbers, trusted: NoBox())
    draw, whole = random.Random(0), nbformat.writes(notebook("00", references("00"))).encode()
    for number in range(200):
        put(tmp_path, f"{number:03d}", "").write_bytes(broken(draw, whole))
    submissions = find_submissions([tmp_path])
    rows = [grade._read(Here(), submission) for submission in submissions]
    assert len(rows) == 200
    assert len({row.number for row in rows}) == 2, "some can be marked, and some cannot"
    for row in rows:
        assert row.number == "00" or row.note.startswith("00_start_here.ipynb: "), row
        for name in names_in(row.number):
            assert marking.mark(str(row.submission.path), name, 5)["outcome"] in (NO, ERROR, GONE), name


class NoBox:
    """A process that runs nothing."""

    starts_quickly = True

    def renew(self):
        pass

    def ask(self, *_, **__):
        return Reply({})

    def close(self):
        pass


class Here:
    """A judge who does it right here, and a bench of that one."""

    def ask(self, work, *arguments, **_):
        return work(*arguments)

    def share(self, work, things):
        for thing in things:
            work(self, thing)


def test_the_notebooks_of_one_student_share_a_process_and_nobody_elses(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(marking, "_box", lambda numbers, trusted: asked.append(numbers) or NoBox())
    for place in ("ana/04_evaluation", "ana/00_start_here", "all/ben_00_start_here", "all/cleo_00_start_here"):
        number = re.search(r"\d\d", place)[0]
        put(tmp_path / "in", os.path.dirname(place), notebook(number), f"{os.path.basename(place)}.ipynb")
    put(tmp_path / "in", "dan", "PK", "all.zip")
    read = [grade._read(Here(), submission) for submission in find_submissions([tmp_path / "in"])]
    rows, unfinished = {}, Unfinished(tmp_path / "marks.csv", "none")
    unfinished.begin(1)
    grade._mark_all(Here(), read, rows, unfinished, True)
    assert sorted(set(asked)) == [("00",), ("00", "04")]
    assert asked.count(("00",)) == 2 * (len(QUESTIONS) + 1), "an answer each, and the end, for two students"
    assert asked.count(("00", "04")) == 2 * len(QUESTIONS) + 1
    assert sorted(rows) == list(range(5))


# --- code of cells ------------------------------------------------------------------------------------------


def test_lines_for_the_notebook_are_left_out_and_named():
    code, note = cell_code.as_python("%matplotlib inline\nx = 7 \\\n  % 4\n!pip install y\nfiles = !ls\nx?")
    assert code.count("\n") == 6
    assert "`%matplotlib inline`, `!pip install y`, `files = !ls`" in note
    left_out = "left out, since it is no Python: `%%time`"
    assert cell_code.as_python("# mine\n%%time\nx = 1") == ("# mine\n\nx = 1", left_out)
    with pytest.raises(cell_code.NotPythonError, match="begins with `%%bash`"):
        cell_code.as_python("%%bash\nls")
    odd = "x = 'a\u2028b\u2029c\x85d'  # e\x0cf"
    assert cell_code.as_python("%time\n" + odd)[0].endswith(odd + "\n")
    for unchanged in ("x = (7\n% 4)", "x = )", odd, "x = await f()"):
        assert cell_code.as_python(unchanged) == (unchanged, "")


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
    return Submission(put(tmp_path, "", "{}", "x.ipynb"), PurePosixPath("x.ipynb"))


def test_the_table_is_safe_and_whole(tmp_path, submission):
    given = {"=1": "'=1", "+1": "'+1", "-a": "'-a", "@a": "'@a", "a=1": "a=1", "a\n=b": "a =b"}
    assert {text: guarded(text) for text in given} == given
    marks = [Mark("00.q1", "CORRECT", "", share=1), Mark("00.quiz", "WRONG", "", share=0.5, notes=['odd, "very"'])]
    path = tmp_path / "new" / "marks.csv"
    write_marks(path, [Row(submission, "00", marks, name="ä"), Row(submission, note="no JSON", name="b")], "none")
    assert path.read_bytes().startswith(b"\xef\xbb\xbf"), "Excel knows UTF-8 by it"
    assert path.read_text(encoding="utf-8-sig").split("\n") == [
        "submission,notebook,points,of,q1,quiz,sandbox,note",
        'ä,00,2,3,CORRECT,WRONG,none,"quiz: odd, ""very"""',
        "b,,,,,,,no JSON",
        "",
    ]


def test_a_report_gives_a_hint_and_escapes(submission):
    marks = [Mark("00.q2", "WRONG", "not <b>yet</b>", [["for", "<i>"]], source="x < 1", notes=["<u> `!ls`"])]
    text = report(Row(submission, "00", marks, name="<ana>"), 3, "2026-01-01", "Fence.")
    for escaped in (
        "&lt;ana&gt;: notebook 00",
        "not &lt;b&gt;yet",
        "&lt;i&gt;",
        "x &lt; 1",
        "&lt;u&gt; <code>!ls</code>",
        "Fence.",
    ):
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
        (["a.ipynb", "--out", "b.csv"], "b.csv.unfinished does not hold the marks of an unfinished run"),
    ],
)
def test_what_cannot_work_is_refused_at_once(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    if "a.ipynb" in words:
        put(tmp_path, "", "{}", "a.ipynb")
        put(tmp_path, "", '{"seed": 1}', "b.csv.unfinished")
    out = [] if "--out" in words else ["--out", "marks.csv"]
    assert cli.main(["grade", "--trusted", *words, *out]) == 1
    assert message in capsys.readouterr().err


# --- judges -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judge():
    mine = Judge()
    yield mine
    mine.close()


def test_a_judge_that_hangs_or_dies_is_replaced(judge):
    for work, message in {(time.sleep, 60): "more than 1 seconds", (os._exit, 1): "ended itself"}.items():
        with pytest.raises(JudgeError, match=message):
            judge.ask(*work, seconds=1)
    with pytest.raises(JudgeError, match="ValueError"):
        judge.ask(int, "x")
    assert judge.ask(max, 1, 2) == 2


@pytest.mark.parametrize("number", MODULES)
def test_right_answers_of_every_notebook_are_right_here_too(judge, tmp_path, number):
    """All but the challenges that train; the benchmark marks those. For the course's own answers no fence is needed."""
    path = put(tmp_path, "a", notebook(number, references(number)), f"{number}_x.ipynb")
    for name in names_in(number):
        if name == "12.q4" or getattr(find(name), "level", "") != "Challenge":
            assert judge.ask(marking.mark, str(path), name, 5, True)["outcome"] == "CORRECT", name
    judge.ask(marking.finish, [number], True)


def test_a_seed_repeats_what_was_drawn(judge, tmp_path):
    path = str(put(tmp_path, "a", notebook("00", {"q2": SECOND.mistakes[2].answer})))
    first, again = (judge.ask(marking.mark, path, "00.q2", 5, True) for _ in range(2))
    assert first["details"] == again["details"]
    assert first["mistake"] == "accuracy instead of labels"


class OneJudge:
    """Judges whose course's own answers miss their goal with some seeds."""

    def __init__(self, unfair):
        self.unfair = unfair

    def share(self, work, things):
        return [work(self, thing) for thing in things]

    def ask(self, work, name, seed, trusted, exercise):
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


def test_a_run_goes_on_where_an_interrupted_one_stopped(tmp_path, monkeypatch, capsys):
    """On a console of Windows, which cannot write all names."""

    def marked(judge, path, name, seed, trusted, numbers):
        asked.append((path.parent.name, seed))
        if path.parent.name in stop_at:
            raise KeyboardInterrupt
        return Mark(name, "CORRECT", "", share=1)

    def said():
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), "cp1252"))
        status = cli.main(["grade", str(tmp_path / "ц"), "--out", str(out), "--jobs", "1", "--trusted"])
        return status, sys.stdout.buffer.getvalue().decode("cp1252")

    out = tmp_path / "ц.csv"
    for student in "abц":
        put(tmp_path / "ц", student, notebook("00"))
    monkeypatch.setattr(grade, "_mark", marked)
    monkeypatch.setattr(grade, "fair_seed", lambda judges, numbers, seed, trusted: 9 if seed is None else seed)
    monkeypatch.setattr(Judge, "ask", lambda judge, work, *arguments: work(*arguments))
    asked, stop_at = [], "abц"
    out.write_text("an older table")
    assert said()[0] == cli.STOPPED
    assert out.read_text() == "an older table"
    asked, stop_at = [], "ц"
    status, text = said()
    assert (status, list(marks_in(out))) == (cli.STOPPED, ["a", "b"])
    assert "2 of 3 notebooks" in text
    assert capsys.readouterr().err.endswith("the same command goes on from there.\n")
    put(tmp_path / "ц", "b", notebook("00", {"q1": "x = 1"}))
    asked, stop_at = [], ""
    status, text = said()
    assert (status, list(marks_in(out))) == (0, ["a", "b", "ц"])
    assert set(asked) == {("b", 9), ("ц", 9)}, "what was changed since is marked again"
    assert "an earlier run left the marks of 2 with the seed 9" in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ц", "ц-reports", "ц.csv"]


KEEPING = """
import sys
from pathlib import Path, PurePosixPath
from tlcourse.teaching.marks import Mark, Row, write_marks
from tlcourse.teaching.submissions import Submission
from tlcourse.teaching.unfinished import Unfinished
table = Path(sys.argv[1])
marks = [Mark("00.q1", "CORRECT", "m" * 999)]
rows = [Row(Submission(table, PurePosixPath(f"{i}.ipynb")), "00", marks) for i in range(40)]
table.touch()
unfinished = Unfinished(table, "none")
unfinished.begin(1)
print(len(unfinished._marked), flush=True)
while True:
    write_marks(table.with_name("marks.csv"), rows, "none")
    for row in rows:
        unfinished.keep(row)
        print(flush=True)
"""


def test_a_grader_that_is_killed_leaves_nothing_half_written(tmp_path, environment):
    draw, before = random.Random(1), 0
    for _ in range(3):
        program = subprocess.Popen(
            [sys.executable, "-c", KEEPING, str(tmp_path / "table")], env=environment, stdout=subprocess.PIPE, text=True
        )
        with program:
            assert int(program.stdout.readline()) == before, "what was kept is there"
            for _ in range(draw.randrange(1, 12)):
                program.stdout.readline()
            program.send_signal(signal.SIGKILL)
        before = len(Unfinished(tmp_path / "table", "none")._marked)
        assert before
        table = tmp_path / "marks.csv"
        assert not table.exists() or table.read_text().count("\n") == 41
