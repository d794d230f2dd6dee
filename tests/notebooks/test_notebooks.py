"""Every notebook has the anatomy of the course's notebooks, and is kept in git without what does not belong there."""

import ast
import re
import statistics
from pathlib import Path

import nbformat
import pytest

from tlcourse.lessons.registry import exercises_of
from tlcourse.teaching.student_edition import cells_of

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SECTIONS = (  # in this order; others may stand between them
    "Before you start",
    "By hand",
    "Measure",
    "Lab",
    "Exercises",
    "Quiz",
    "Recap",
    "The same in the libraries you will meet at work",
    "References",
    "Next step",
)
COMPARED = "# NBVAL_CHECK_OUTPUT"
MOST_WORDS, MOST_MINUTES = 3_500, 75  # of a sitting
WORDS_A_MINUTE, MINUTES_A_CELL = 180, 0.3  # read with care; run, looked at and compared
MOST_CELLS_TO_AN_ANSWER = 10
SKIPPED = ("Optional", "References", "Glossary", "Map of the course", "Questions people ask")  # not for everyone
LONGEST_REPEAT = 20  # characters of a line, such as that of a table, that may stand twice in a text
MEDIAN_LINES, MOST_LINES, WIDEST_LINE = 4, 20, 88  # at 1280 pixels, JupyterLab shows 88 characters beside its sidebar

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def text(path):
    return "\n\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")


def section(path, name):
    """The text from a heading to the next of the same level."""
    found = re.search(rf"^## {name}.*?$(.*?)(?=^## |\Z)", text(path), re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


@every_notebook
def test_it_is_a_valid_notebook_that_begins_with_its_number_and_its_question(path):
    notebook = read(path)
    assert not list(nbformat.validator.iter_validate(notebook))
    assert set(notebook.metadata) == {"kernelspec", "language_info"}, "no state of widgets"
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.cells[0].cell_type == "markdown"
    beginning = rf"# {path.stem[:2]} · .*\?"
    assert re.match(beginning, notebook.cells[0].source), "the first line is '# NN · question?'"


@every_notebook
def test_sections_stand_in_order(path):
    headings = re.findall(r"^## (.+)$", text(path), re.MULTILINE)
    places = [next((i for i, h in enumerate(headings) if h.startswith(name)), None) for name in SECTIONS]
    assert None not in places, f"missing: {[n for n, p in zip(SECTIONS, places, strict=True) if p is None]}"
    assert places == sorted(places), f"out of order: {headings}"


@every_notebook
def test_what_the_sections_hold(path):
    before = section(path, "Before you start")
    assert re.search(r"\*\*Time\*\*: about \d+ minutes", before)
    assert "**You need**" in before
    assert 3 <= len(re.findall(r"^\d\. ", before, re.MULTILINE)) <= 5, "three to five objectives"
    assert 2 <= len(re.findall(r"^\*\*\d\. ", section(path, "Exercises"), re.MULTILINE)) <= 4
    assert 3 <= len(re.findall(r"^\d\. ", section(path, "Quiz"), re.MULTILINE)) <= 5
    assert re.search(r"trap", text(path), re.IGNORECASE), "at least one trap"
    references = re.findall(r"^\* .*$", section(path, "References"), re.MULTILINE)
    assert len(references) >= 3
    assert all(re.search(r"\b(19|20)\d\d, \w", line) for line in references if line.count('"')), "year and venue"


@every_notebook
def test_exercises_and_quiz_stand_there_word_for_word(path):
    """Prompt, starter and check are those of the package, with their metadata, in this order."""
    cells = cells_of(path.stem[:2])
    found = [cell for cell in read(path).cells if re.match(r"\d\d-(q\d|quiz)-", cell.id)]
    assert [cell.id for cell in found] == list(cells)
    for cell in found:
        assert cell.source == cells[cell.id].source
        assert cell.metadata == cells[cell.id].metadata


@every_notebook
def test_no_solution_stands_in_it_and_objectives_that_exercises_serve_exist(path):
    everything = "\n".join(cell.source for cell in read(path).cells)
    count = len(re.findall(r"^\d\. ", section(path, "Before you start"), re.MULTILINE))
    assert "<summary>Answer" not in everything
    for exercise in exercises_of(path.stem[:2]):
        assert exercise.reference.strip() not in everything
        assert exercise.objective <= count


@every_notebook
def test_every_prediction_has_a_name_of_its_own_and_is_compared_soon(path):
    """Who has to scroll back for what was foreseen no longer knows why."""
    sources, names = [cell.source for cell in read(path).cells], []
    for place, source in enumerate(sources):
        for variable, name in re.findall(r"(\w+) = (?:tl\.)?guess\(\s*\"([^\"]+)\"", source):
            names.append(name)
            compared = next(i for i, other in enumerate(sources) if f"{variable}.compare(" in other)
            assert 1 <= compared - place <= MOST_CELLS_TO_AN_ANSWER, variable
    assert names
    assert all(name.startswith(path.stem[:2] + ".") for name in names)
    assert len(set(names)) == len(names)


def sittings(path):
    """The cells that everyone goes through, without optional and reference sections; a break is a heading."""
    parts, skipped = [[]], False
    for cell in read(path).cells:
        if cell.cell_type == "markdown" and cell.source.startswith("## "):
            skipped = cell.source.removeprefix("## ").startswith(SKIPPED)
            if cell.source.startswith("## A break"):
                parts.append([])
        if not skipped:
            parts[-1].append(cell)
    return parts


def words(cells):
    """What there is to read, without folds."""
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    unfolded = re.sub(r"<details>.*?</details>", "", prose, flags=re.DOTALL)
    return len([word for word in unfolded.split() if re.search(r"\w", word)])


@every_notebook
def test_it_is_one_sitting_or_two_with_a_marked_break(path):
    counts = [words(cells) for cells in sittings(path)]
    assert len(counts) <= 2
    assert max(counts) <= MOST_WORDS, counts


@every_notebook
def test_its_time_is_the_sum_of_what_its_parts_take(path):
    stated = int(re.search(r"\*\*Time\*\*: about (\d+) minutes", text(path))[1])
    parts = sittings(path)
    reading = sum(map(words, parts)) / WORDS_A_MINUTE
    looking = MINUTES_A_CELL * sum(cell.cell_type == "code" for cells in parts for cell in cells)
    exercises = sum(exercise.minutes for exercise in exercises_of(path.stem[:2]))
    assert stated == pytest.approx(reading + looking + exercises, abs=5), (reading, looking, exercises)
    assert stated <= MOST_MINUTES * len(parts)


@every_notebook
def test_cells_are_short(path):
    sizes = [cell.source.count("\n") + 1 for cell in code(path)]
    assert statistics.median(sizes) <= MEDIAN_LINES
    assert max(sizes) <= MOST_LINES
    wide = [line for cell in code(path) for line in cell.source.splitlines() if len(line) > WIDEST_LINE]
    assert not wide, "these lines would be cut off on a small screen"


@every_notebook
def test_cells_define_nothing(path):
    """What is worth a function is worth a test, so it belongs into the module; answers are the learner's own."""
    answers = {cell.id for cell in cells_of(path.stem[:2]).values() if cell.id.endswith("-answer")}
    for cell in [cell for cell in code(path) if cell.id not in answers]:
        kinds = (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)
        assert not [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, kinds)], cell.source


@every_notebook
def test_every_image_in_the_text_says_what_it_shows(path):
    """`test_running_notebooks.py` asks the same of what code draws."""
    assert all(len(alt) >= 30 for alt in re.findall(r"!\[(.*?)\]\(", text(path)))
    assert "<img" not in text(path)


@every_notebook
def test_outputs_are_kept_only_where_they_are_compared(path):
    compared = 0
    for cell in code(path):
        if cell.source.startswith(COMPARED):
            compared += 1
            assert cell.execution_count is not None, "without a count, nbval skips the comparison without a word"
            assert cell.outputs, "nothing to compare with"
            assert all(output.output_type == "stream" for output in cell.outputs), "compare small text only"
            assert sum(len(output.text) for output in cell.outputs) < 1000
        else:
            assert COMPARED not in cell.source, "the marker belongs into the first line"
            assert not cell.outputs
            assert cell.execution_count is None
    assert compared, "at least one output should be compared"


@every_notebook
def test_no_line_of_a_text_stands_there_twice(path):
    for cell in [cell for cell in read(path).cells if cell.cell_type == "markdown"]:
        lines = [line for line in cell.source.splitlines() if len(line) > LONGEST_REPEAT]
        assert not {line for line in lines if lines.count(line) > 1}


@every_notebook
def test_prose_is_plain(path):
    assert not re.search(r"\b(simply|just click|obviously|of course|state-of-the-art|blazing)\b", text(path))
