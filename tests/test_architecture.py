"""The house keeps its floors: who imports whom, and how long a function and a module may be."""

import ast
from pathlib import Path

import pytest

from tlcourse.exercises import registry

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tlcourse"
FLOORS = {
    1: (
        *("repro", "splits", "cleaning", "normalisation", "losses", "descent", "schedules"),
        *("metrics", "calibration", "stats", "comparison", "transfer_measures", "storage", "weights", "surgery"),
    ),
    2: ("data", "models", "finetuning"),
    3: (
        "training",
        "checkpoints",
        "evaluation",
        "model_card",
        "model_folder",
        "classifier",
        "probing",
        "rate_finder",
        "averaging",
        "saliency",
        "pretraining",
        "sandbox",
    ),
    4: ("experiments",),
    5: ("display", "plots", "exercises", "labs", "teaching", "photo_commands", "cli", "__main__"),
}
FLOOR_OF = {name: floor for floor, names in FLOORS.items() for name in names}
PRESENTATION = {"matplotlib", "ipywidgets", "IPython"}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
LONGEST_MODULE, LONGEST_FUNCTION = 300, 50
LONGEST_TEXT = 600  # a notebook's exercises are prompts, starters, solutions and messages: texts, and all in one place


def dotted(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path):
    """All modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the floor"
            yield node.module


def floor_of(module):
    return FLOOR_OF[module.split(".")[1]]


def too_high(module, imported):
    """Whether `module` may not import `imported`."""
    if imported.split(".")[0] != "tlcourse":
        return imported.split(".")[0] in PRESENTATION and floor_of(module) < 5
    return imported == "tlcourse" or floor_of(imported) > floor_of(module) or floor_of(module) == 1


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_imports_go_down(path):
    wrong = [imported for imported in imports(path) if too_high(dotted(path), imported)]
    assert not wrong, f"{dotted(path)} is on floor {floor_of(dotted(path))} and may not import {wrong}"


def test_the_rule_can_fail():
    assert too_high("tlcourse.stats", "tlcourse.training")
    assert too_high("tlcourse.stats", "tlcourse.splits")
    assert too_high("tlcourse.training", "matplotlib.pyplot")
    assert not too_high("tlcourse.plots", "matplotlib.pyplot")
    assert not too_high("tlcourse.training", "tlcourse.checkpoints")


def test_no_circles():
    graph = {dotted(path): {i for i in imports(path) if i.startswith("tlcourse.")} for path in MODULES}
    while graph:
        free = [module for module, needs in graph.items() if not needs & graph.keys()]
        assert free, f"these modules import each other in a circle: {sorted(graph)}"
        for module in free:
            del graph[module]


def functions(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            doc = ast.get_docstring(node, clean=False)
            yield node.name, node.end_lineno - node.lineno + 1 - (doc.count("\n") + 1 if doc else 0)


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_modules_and_functions_can_be_read_to_the_end(path):
    exercises = path.parent.name == "exercises" and path.stem in registry.MODULES.values()
    assert len(path.read_text(encoding="utf-8").splitlines()) <= (LONGEST_TEXT if exercises else LONGEST_MODULE)
    long = {name: lines for name, lines in functions(path) if lines > LONGEST_FUNCTION}
    assert not long, f"{dotted(path)}: over {LONGEST_FUNCTION} lines without the docstring: {long}"


def test_functions_are_short_on_the_whole():
    sizes = sorted(lines for path in MODULES for _, lines in functions(path))
    assert sizes[len(sizes) // 2] <= 12


def test_no_catch_all_modules():
    assert not [path for path in MODULES if path.stem in ("utils", "helpers", "misc", "common")]
