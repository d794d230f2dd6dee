"""A new lesson is one folder, one line in the registry, and one notebook: CONTRIBUTING says how, and here is one."""

import re
import textwrap
from pathlib import Path

import nbformat
import pytest

import tlcourse.lessons
from tlcourse.exercises.card import Outcome
from tlcourse.lessons import registry, shipped
from tlcourse.notebook import results as frames
from tlcourse.teaching.student_edition import cells_of, student_notebook
from tools import place_exercises

CONTRIBUTING = Path(__file__).parents[2] / "CONTRIBUTING.md"
FILES = {
    "__init__.py": """
        from tlcourse.lessons.nb99_coins.experiment import trial
        from tlcourse.lessons.nb99_coins.lab import CoinLab
    """,
    "experiment.py": """
        import torch

        from tlcourse.notebook.results import grid
        from tlcourse.repro import generator


        def trial(coins, seed):
            heads = torch.rand(coins, generator=generator("99", coins, seed)) < 0.5
            return {"accuracy": 100 * heads.float().mean().item()}


        def heads(seeds):
            return grid(trial, coins=[10, 1000], seed=seeds, progress=False)
    """,
    "tables.py": """
        from tlcourse.lessons.nb99_coins.experiment import heads

        TABLES = {"coins": (heads, 3)}
    """,
    "lab.py": """
        from tlcourse.notebook.controls import Slider
        from tlcourse.notebook.figures import dots
        from tlcourse.notebook.lab import Lab, page
        from tlcourse.notebook.results import results


        class CoinLab(Lab):
            coins = Slider("coins", (10, 1000), tip="how many are thrown")

            def look(self, coins):
                rows = results("coins")
                figure, (ax,) = page((4, 2), (0.2, 0.3, 0.7, 0.6))
                return figure, dots(ax, rows[rows["coins"] == coins], "accuracy", "coins")
    """,
    "exercises.md": """
        # 99.q1: heads

        - kind: Value
        - level: Read
        - objective: 1
        - minutes: 1
        - answer: share

        ## Prompt

        What share of fair coins shows heads, in percent?

        ## Starter

        ```python
        share = None
        ```

        ## Reference

        ```python
        share = 50
        ```

        ## Alternative

        ```python
        share = 100 / 2
        ```

        ## Hints

        1. Both sides are as likely.
        2. They share 100 % between them.

        ## Mistake: gave a fraction

        ```python
        share = 0.5
        ```

        The question asks for percent.
    """,
    "quiz.md": """
        # 99.quiz

        ## q1

        Does a coin remember?

        - [x] No
          Throws are independent.
        - [ ] Yes
          Then long rows of heads would be rarer than they are.
    """,
    "checks.py": """
        from tlcourse.exercises.markdown import read_exercises

        q1, quiz = read_exercises(__file__)
    """,
}


@pytest.fixture
def lesson(tmp_path, monkeypatch):
    """The folder of a lesson that the course knows for the time of a test."""
    folder = tmp_path / "nb99_coins"
    (folder / "results").mkdir(parents=True)
    for name, text in FILES.items():
        (folder / name).write_text(textwrap.dedent(text).lstrip(), encoding="utf-8")
    monkeypatch.setattr(tlcourse.lessons, "__path__", [*tlcourse.lessons.__path__, str(tmp_path)])
    monkeypatch.setitem(registry.MODULES, "99", "coins")
    monkeypatch.setattr(frames, "LESSONS", tmp_path)
    return folder


def import_lesson(part):
    import importlib

    return importlib.import_module(registry.lesson_module("99", part))


def test_its_table_is_computed_kept_and_read_and_its_lab_shows_it(lesson):
    compute, seeds = shipped.shipped_tables()["coins"]
    frames.save_results(compute(range(seeds)), lesson / "results" / "coins.csv")
    rows = frames.results("coins")
    assert rows.columns.tolist() == ["coins", "seed", "accuracy"]
    assert frames.as_dict(frames.intervals(rows, by="coins"))[1000].mean == pytest.approx(50, abs=5)
    lab = import_lesson("lab").CoinLab()
    before = lab.sentence.value
    lab.coins = 1000
    assert lab.sentence.value != before
    lab.close()


def test_its_exercises_are_checked(lesson):
    checks = import_lesson("checks")
    assert registry.exercises_of("99") == (checks.q1,)
    assert checks.q1.check(50).outcome is Outcome.CORRECT
    assert "percent" in repr(checks.q1.check(0.5))
    assert checks.quiz.check({"q1": "a"}).outcome is Outcome.CORRECT


def test_its_notebook_gets_its_cells_and_its_edition(lesson):
    names = cells_of("99")
    cells = [nbformat.v4.new_code_cell("", id=name) for name in names]
    notebook = nbformat.v4.new_notebook(cells=cells)
    assert place_exercises.place(notebook, "99") == []
    assert "What share of fair coins" in notebook.cells[0].source
    assert "share = 50" not in nbformat.writes(student_notebook(notebook, "99"))


def test_contributing_names_every_file_of_it():
    recipe = re.search(r"## Add a lesson\n(.*?)\n## ", CONTRIBUTING.read_text(encoding="utf-8"), re.DOTALL)[1]
    steps = re.findall(r"^\d+\. ", recipe, re.MULTILINE)
    assert 5 <= len(steps) <= 10
    missing = [name for name in FILES if f"`{name}`" not in recipe]
    assert not missing, f"the recipe does not name {missing}"
