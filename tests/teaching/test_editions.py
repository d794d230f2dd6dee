"""The two editions of the notebooks: no solution for students, all of them for teachers, and both for nbgrader."""

import copy
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from IPython.lib.pretty import pretty

from tlcourse import cli
from tlcourse.exercises.exercise import NotSolvedError
from tlcourse.exercises.quiz import Quiz
from tlcourse.lessons import registry
from tlcourse.lessons.registry import MODULES, exercises_of, items_of, quiz_of
from tlcourse.teaching import editions, instructor_edition, student_edition
from tlcourse.teaching.edition_links import tidy_links
from tlcourse.teaching.teacher_notes import fenced, plain
from tools import run_notebooks

ROOT = Path(__file__).parents[2]
ITEMS = [item for number in MODULES for item in items_of(number)]
# What students have anyway: the lines of starters and prompts, and very few that a lesson shows.
EXERCISES = [exercise for number in MODULES for exercise in exercises_of(number)]
PUBLIC = {line.strip() for e in EXERCISES for line in f"{e.starter}\n{e.prompt}".splitlines()}
PUBLIC |= set(student_edition.LESSONS)

every_notebook = pytest.mark.parametrize("number", MODULES)
every_item = pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.id)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Both editions of the real notebooks, without timings."""
    out = tmp_path_factory.mktemp("editions") / "out"
    assert cli.main(["editions", "--out", str(out), "--no-timing"]) == 0
    return out


def notebook_in(folder, number):
    (path,) = folder.glob(f"{number}_*.ipynb")
    return nbformat.read(path, as_version=4)


def cell(notebook, name):
    (found,) = [cell for cell in notebook.cells if cell.id == name]
    return found


def unlinked(text):
    """A text without its links to notebooks: an edition has those alone that lead to one of its own."""
    return re.sub(r"\[([^]]*)\]\(\d\d_\w+\.ipynb[^)]*\)", r"\1", text)


def told(notebook):
    """What a notebook tells of solutions, wherever it stands: in a cell, in a comment, in metadata."""
    everything = json.dumps(notebook, ensure_ascii=False)
    solved = [f"{item.reference}\n{getattr(item, 'alternative', '')}".splitlines() for item in ITEMS]
    lines = {line.strip() for program in solved for line in program} - PUBLIC
    return [line for line in lines if len(line) > 20 and json.dumps(line, ensure_ascii=False)[1:-1] in everything]


def small_notebook():
    """The exercises of 00, with nothing around them but what they need."""
    notebook = nbformat.v4.new_notebook(metadata=student_edition.METADATA)
    names = "import torch\nfrom tlcourse.lessons.nb00_start_here import checks as ex\n" + exercises_of("00")[0].setup
    before = "## Before you start\n\n1. say this;\n2. do that;\n3. read it;\n4. tell it.\n"
    notebook.cells = [
        nbformat.v4.new_markdown_cell(before, id="before"),
        nbformat.v4.new_code_cell(names, id="names"),
        *student_edition.cells_of("00").values(),
    ]
    return notebook


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A course of one small notebook."""
    monkeypatch.setattr(registry, "MODULES", {"00": "start_here"})
    monkeypatch.setattr(editions, "MODULES", {"00": "start_here"})
    folder = tmp_path / "notebooks"
    folder.mkdir()
    nbformat.write(small_notebook(), folder / "00_start_here.ipynb")
    return folder


@pytest.fixture
def edition(small, tmp_path):
    """The folder with both editions of the small course."""
    editions.write_editions(tmp_path / "out", small, timing=False)
    return tmp_path / "out"


def without_training(notebook):
    """Its cells but for the challenge, which takes long on a busy machine."""
    return [cell for cell in notebook.cells if not cell.id.startswith("00-q4")]


def change(folder, edit):
    path = folder / "00_start_here.ipynb"
    notebook = nbformat.read(path, as_version=4)
    edit(notebook)
    nbformat.write(notebook, path)


# --- the student's edition -------------------------------------------------------------------------------


@every_notebook
def test_no_solution_stands_in_any_student_notebook_and_the_search_would_find_it(written, number):
    clean = notebook_in(written / "student", number)
    assert not told(clean)
    for item in items_of(number):
        notebook = copy.deepcopy(clean)
        notebook.cells[3].metadata["note"] = {"deep": [item.reference]}
        assert told(notebook) or max(map(len, item.reference.splitlines())) <= 20
        assert list(student_edition.solution_lines_in(notebook, number)) or not told(notebook)


@every_notebook
def test_a_student_gets_the_notebook_as_it_is_without_outputs(written, number):
    mine, original = notebook_in(written / "student", number), notebook_in(ROOT / "notebooks", number)
    assert [unlinked(cell.source) for cell in mine.cells] == [unlinked(cell.source) for cell in original.cells]
    assert [cell.id for cell in mine.cells] == [cell.id for cell in original.cells]
    assert mine.metadata == student_edition.METADATA
    for cell in mine.cells:
        wanted = student_edition.cells_of(number).get(cell.id)
        assert cell.metadata == (wanted.metadata if wanted else {})
        assert cell.cell_type != "code" or (not cell.outputs and cell.execution_count is None)


def test_what_was_typed_into_an_exercise_does_not_reach_a_student(small, tmp_path):
    def solve(notebook):
        cell(notebook, "00-q2-answer").source = exercises_of("00")[1].reference
        cell(notebook, "00-quiz-answer").metadata["draft"] = quiz_of("00").reference
        cell(notebook, "00-q2-check").outputs = [nbformat.v4.new_output("stream", text=exercises_of("00")[1].reference)]

    change(small, solve)
    editions.write_editions(tmp_path / "out", small, timing=False)
    notebook = notebook_in(tmp_path / "out" / "student", "00")
    assert cell(notebook, "00-q2-answer").source == exercises_of("00")[1].starter.strip("\n")
    assert not told(notebook)


@pytest.mark.parametrize("leak", [exercises_of("00")[1].alternative, quiz_of("00").reference], ids=["line", "letters"])
def test_a_solution_elsewhere_in_a_notebook_is_refused(small, tmp_path, leak):
    change(small, lambda notebook: notebook.cells.append(nbformat.v4.new_markdown_cell(f"look: {leak}")))
    with pytest.raises(ValueError, match="notebook 00 holds a line of a solution"):
        editions.write_editions(tmp_path / "out", small, timing=False)
    assert not (tmp_path / "out").exists()


# --- the instructor's edition ----------------------------------------------------------------------------


@every_item
def test_a_teacher_finds_the_solution_and_a_note_below_the_check(written, item):
    notebook = notebook_in(written / "instructor", item.id[:2])
    name = item.id.replace(".", "-")
    places = [i for i, cell in enumerate(notebook.cells) if cell.id.startswith(f"{name}-")]
    assert places == list(range(places[0], places[0] + 4))
    _, answer, check, note = (notebook.cells[i] for i in places)
    assert answer.source == item.reference
    assert check == student_edition.cells_of(item.id[:2])[check.id]
    assert note.source.startswith("**For the teacher**")
    wanted = said_of_a_quiz(item) if isinstance(item, Quiz) else said_of(item, notebook)
    for text in (f"**Points**: {item.points}", "**The check takes**: not measured", *wanted):
        assert text in note.source.replace("\n   ", "\n")


def said_of(exercise, notebook):
    """What a note says an exercise is for, and what people get wrong."""
    objective = instructor_edition.objectives_of(notebook)[exercise.objective - 1]
    yield f"**Objective {exercise.objective}**: {objective}"
    yield f"**Level**: {exercise.level}"
    yield f"about {exercise.minutes} minutes"
    for mistake in exercise.mistakes:
        yield from (plain(mistake.name), fenced(mistake.answer), f"> {plain(mistake.message)}")


def said_of_a_quiz(quiz):
    for letter, option in (pair for question in quiz.questions for pair in question.letters().items()):
        yield f"* **{letter}** is {'**right**' if option.right else 'wrong'}. {plain(option.because)}"


@every_notebook
def test_the_instructors_edition_says_what_it_is_and_is_otherwise_the_same(written, number):
    notebook, original = notebook_in(written / "instructor", number), notebook_in(ROOT / "notebooks", number)
    first, added = notebook.cells[0], {f"{number}-instructor", *(i.id.replace(".", "-") + "-teacher" for i in ITEMS)}
    assert f"**Instructor's edition of notebook {number}.**" in first.source
    assert "not for students" in first.source
    rest = [cell for cell in notebook.cells if cell.id not in added]
    assert [cell.id for cell in rest] == [cell.id for cell in original.cells]
    answers = [cell.id for cell in rest if cell.id.endswith("-answer")]
    for mine, theirs in zip(rest, original.cells, strict=True):
        assert unlinked(mine.source) == unlinked(theirs.source) or mine.id in answers
        assert mine.get("outputs") == theirs.get("outputs"), "what nbval compares is kept"


def test_the_seconds_of_checks_are_measured_and_written_down(small, tmp_path, monkeypatch):
    asked = []

    def measured(items):
        asked.extend(item.id for item in items)
        return {"00.q1": 0.04, "00.q4": 3.14159, "00.quiz": 0.0}

    monkeypatch.setattr(editions, "seconds_of_checks", measured)
    editions.write_editions(tmp_path / "out", small)
    assert asked == ["00.q1", "00.q2", "00.q3", "00.q4", "00.quiz"]
    notebook = notebook_in(tmp_path / "out" / "instructor", "00")
    assert "**The check takes**: less than 0.1 s" in cell(notebook, "00-q1-teacher").source
    assert "**The check takes**: 3.1 s" in cell(notebook, "00-q4-teacher").source
    assert "were measured once" in notebook.cells[0].source


def test_a_check_is_timed_on_its_own_solution(monkeypatch):
    exercise, quiz = exercises_of("00")[0], quiz_of("00")
    monkeypatch.setattr(instructor_edition, "kernel_sandbox", lambda: type("Box", (), {"ask": lambda *_, **__: None})())
    seconds = instructor_edition.seconds_of_checks([exercise, quiz])
    assert set(seconds) == {"00.q1", "00.quiz"}
    assert all(0 < value < 5 for value in seconds.values())
    monkeypatch.setattr(Quiz, "reference", property(lambda quiz: 'answers = dict(q1="x")'))
    with pytest.raises(ValueError, match=r"the check of 00\.quiz does not find its own solution right"):
        instructor_edition.seconds_of_checks([quiz])


def test_code_and_cards_come_through_markdown_unharmed():
    assert fenced("a = '```'\n") == "````python\na = '```'\n````"
    assert plain("2 * 3 < `a * b` [0, 1] $x$") == r"2 \* 3 \< `a * b` \[0, 1\] \$x\$"


# --- files, links, folders -------------------------------------------------------------------------------


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_notebooks_give_the_same_bytes_and_replace_the_old_ones(small, edition):
    before = contents(edition)
    assert len(before) == 3
    editions.write_editions(edition, small, timing=False)
    assert contents(edition) == before


def test_a_student_edition_is_as_good_a_source_as_the_course(edition, tmp_path):
    editions.write_editions(tmp_path / "new", edition / "student", timing=False)
    assert contents(tmp_path / "new") == contents(edition)


@every_notebook
def test_every_link_and_image_leads_somewhere(written, number):
    for edition in ("student", "instructor"):
        cells = notebook_in(written / edition, number).cells
        text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        for target in re.findall(r"\]\(([^)\s]+)", re.sub(r"(`+).*?\1", "", text, flags=re.DOTALL)):
            if not re.match(r"[a-z]+:|#", target):
                assert (written / edition / target.partition("#")[0]).is_file(), target


def test_images_come_along_while_they_are_needed_and_links_to_what_does_not_become_text(small, tmp_path):
    text = "![a curve that rises](images/a%20curve.png) [next](01_next.ipynb#Top) [here](00_start_here.ipynb) "
    text += "[web](https://example.org) [below](#Quiz) `steps[name](rate)`\n```\nsteps[0](gone.png)\n```"
    (small / "images").mkdir()
    (small / "images" / "a curve.png").write_bytes(b"picture")
    (small / "images" / "unused.png").write_bytes(b"another")
    change(small, lambda notebook: notebook.cells.insert(0, nbformat.v4.new_markdown_cell(text)))
    editions.write_editions(tmp_path / "out", small, timing=False)
    for edition in ("student", "instructor"):
        folder = tmp_path / "out" / edition
        assert {path.name for path in folder.rglob("*.*")} == {"00_start_here.ipynb", "a curve.png"}
        assert (folder / "images" / "a curve.png").read_bytes() == b"picture"
        (found,) = [cell.source for cell in notebook_in(folder, "00").cells if "a curve that rises" in cell.source]
        assert found == text.replace("[next](01_next.ipynb#Top)", "next")
    change(small, lambda notebook: notebook.cells.pop(0))
    editions.write_editions(tmp_path / "out", small, timing=False)
    assert not list((tmp_path / "out").rglob("*.png")), "what an edition no longer needs goes"


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("../secret.png", "Expected a file in the same folder"),
        ("/etc/passwd", "Expected a file in the same folder"),
        ("images/gone.png", "which is not there"),
    ],
)
def test_a_link_that_leads_nowhere_is_named(tmp_path, target, complaint):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(f"![text]({target})")])
    with pytest.raises(ValueError, match=f"{target}.*{complaint}"):
        tidy_links(notebook, tmp_path, [])


@pytest.fixture
def refused(capsys):
    """What the command says, having written nothing."""

    def refusing(out, notebooks):
        before = contents(out)
        assert cli.main(["editions", "--out", str(out), "--notebooks", str(notebooks), "--no-timing"]) == 1
        assert contents(out) == before
        return capsys.readouterr().err

    return refusing


def test_a_folder_with_other_files_is_refused(small, tmp_path, refused):
    out = tmp_path / "out"
    (out / "student").mkdir(parents=True)
    (out / "student" / "thesis.txt").write_text("all my work")
    complaint = refused(out, small)
    for said in ("holds 1 files that are not of an edition", "student/thesis.txt", "Choose an empty folder"):
        assert said in complaint


def test_an_edition_that_somebody_worked_in_is_refused(small, edition, refused):
    (edition / "student" / ".ipynb_checkpoints").mkdir()
    (edition / "student" / ".ipynb_checkpoints" / "copy.ipynb").write_text("{}")
    editions.write_editions(edition, small, timing=False)
    change(edition / "instructor", lambda notebook: notebook.cells.pop(0))
    said = "were changed since it was written, such as instructor/00_start_here.ipynb"
    assert said in refused(edition, small)


@pytest.mark.parametrize("place", ["", "editions", "student/00"])
def test_the_originals_and_their_folder_are_left_alone(small, refused, place):
    assert "written over them. Choose a folder of its own" in refused(small / place, small)


def test_what_is_no_source_and_no_folder_is_named(small, edition, tmp_path, refused):
    assert "written over them" in refused(edition, edition / "student")
    (tmp_path / "file").write_text("")
    (tmp_path / "new").mkdir()
    assert "is a file. Expected a folder" in refused(tmp_path / "file", small)
    assert "one notebook 00_….ipynb, but nothing was found" in refused(tmp_path / "other", tmp_path / "new")
    complaint = refused(tmp_path / "new", edition / "instructor")
    assert "is of an instructor's edition. Expected the course's own notebooks" in complaint
    change(small, lambda notebook: notebook.cells.pop())
    complaint = refused(tmp_path / "new", small)
    assert "notebook 00 lacks 1 cells of its exercises, among them '00-quiz-check'" in complaint
    (small / "00_start_here.ipynb").write_text("no notebook")
    assert "00_start_here.ipynb is no notebook" in refused(tmp_path / "new", small)


# --- nbgrader --------------------------------------------------------------------------------------------


@every_notebook
@pytest.mark.parametrize("edition", ["student", "instructor"])
def test_nbgrader_reads_both_editions(written, edition, number):
    from nbgrader.nbgraderformat import MetadataValidator, read

    (path,) = (written / edition).glob(f"{number}_*.ipynb")
    with open(path, encoding="utf-8") as file:
        notebook = read(file, as_version=4)
    MetadataValidator().validate_nb(notebook)
    graded = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    assert sum(cell.metadata.nbgrader.points for cell in graded) == sum(item.points for item in items_of(number))


LETTERS = {f"q{i}": question.right() for i, question in enumerate(quiz_of("00").questions, 1)}


@pytest.mark.parametrize(
    ("asked_by", "wrong", "mark"),
    [("autograde", 0, "2"), ("autograde", 1, "1.5"), ("autograde", 4, ""), ("validate", 0, "2"), ("validate", 1, "")],
)
def test_a_mark_of_nbgrader_is_a_number_that_counts_shares(monkeypatch, asked_by, wrong, mark):
    """A student who asks nbgrader (validate) hears of everything that is not right."""
    answers = LETTERS | dict.fromkeys(list(LETTERS)[:wrong], "x")
    check = quiz_of("00").check
    assert pretty(check(answers)) == repr(check(answers)), "what a notebook stores as the text of a result"
    monkeypatch.setenv("NBGRADER_EXECUTION", asked_by)
    if mark:
        assert pretty(check(answers)) == mark
        assert "right" in check(answers)._repr_html_(), "the student's feedback shows the card"
    else:
        with pytest.raises(NotSolvedError, match=f"{4 - wrong} of 4 right"):
            check(answers)
    with pytest.raises(NotSolvedError, match="NOT ATTEMPTED"):
        exercises_of("00")[0].check(None)


IN_A_SCHOOL = """
import json, sys
from nbgrader.apps import NbGraderAPI
from traitlets.config import Config

settings = Config()
settings.CourseDirectory.root = sys.argv[1]
settings.ClearSolutions.enabled = False
settings.Execute.timeout = 300
school = NbGraderAPI(config=settings)
replies = [school.generate_assignment("unit"), school.autograde("unit", "ada")]
with school.gradebook as book:
    (notebook,) = book.find_submission("unit", "ada").notebooks
    points = {grade.name: grade.score for grade in notebook.grades}
log = "".join(reply["log"] for reply in replies)
print(json.dumps({"log": log, "good": [reply["success"] for reply in replies], "points": points}))
"""


def test_nbgrader_hands_out_the_starters_and_gives_the_points(edition, tmp_path, environment):
    source, solved = (notebook_in(edition / part, "00") for part in ("student", "instructor"))
    cell(solved, "00-q2-answer").source = cell(source, "00-q2-answer").source
    cell(solved, "00-quiz-answer").source = quiz_of("00").reference.replace('q1="b"', 'q1="a"')
    for place, notebook in {"source": source, "submitted/ada": solved}.items():
        notebook.cells = without_training(notebook)
        folder = tmp_path / "school" / place / "unit"
        folder.mkdir(parents=True)
        nbformat.write(notebook, folder / "00_start_here.ipynb")

    kept = tmp_path / "progress.json"
    search = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])  # nbgrader calls alembic
    settings = environment | {"PATH": search, "TLCOURSE_PROGRESS": str(kept), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", IN_A_SCHOOL, str(tmp_path / "school")]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["good"] == [True, True], found["log"]

    released = notebook_in(tmp_path / "school" / "release" / "unit", "00")
    assert [cell.source for cell in released.cells] == [cell.source for cell in source.cells]
    full = {f"{item.id.replace('.', '-')}-check": item.points for item in items_of("00") if item.id != "00.q4"}
    share = 1 - 1 / len(quiz_of("00").questions)
    assert found["points"] == full | {"00-q2-check": 0, "00-quiz-check": share * quiz_of("00").points}
    assert "cannot be converted to" not in done.stderr + found["log"], "nbgrader has to guess the points"
    assert not kept.exists(), "what students handed in went into the teacher's own progress"


# --- the whole edition under nbval -----------------------------------------------------------------------


def test_a_check_that_is_not_right_fails_under_nbval(edition):
    """`run_notebooks.py` runs the whole instructor's edition this way."""
    path = edition / "instructor" / "00_start_here.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = without_training(notebook)
    cell(notebook, "00-q1-answer").source = exercises_of("00")[0].mistakes[0].answer
    cell(notebook, "00-quiz-answer").source = quiz_of("00").reference.replace('q1="b"', 'q1="a"')
    nbformat.write(notebook, path)
    result = run_notebooks.run(path, run_notebooks.EVERY_CHECK_RIGHT)
    assert result.returncode
    assert "2 failed, 7 passed" in result.stdout, result.stdout
    said = re.sub(r"\x1b\[[\d;]*m", "", result.stdout)
    assert said.count("NotSolvedError: WRONG: ") >= 2
