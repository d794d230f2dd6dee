"""The house keeps its floors: who imports whom, and how long a function and a module may be.

`python tests/test_architecture.py` prints the picture: every folder, lowest first, with the folders that it imports.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "tlcourse"
# Lowest first. A folder imports from itself and from folders before it; a single module is a floor of its own.
FLOORS = (
    *("allocator", "repro", "storage", "pages"),
    *("data", "evaluation", "transfer", "models", "training", "adaptation", "unlabelled", "federated", "multitask"),
    *("notebook", "photos", "exercises", "lessons", "teaching"),
    *("cli", "__main__"),
)
PRESENTATION = {"matplotlib", "ipywidgets", "IPython"}  # known from this floor on:
FIRST_TO_SHOW = "notebook"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")
LONGEST_MODULE, LONGEST_FUNCTION = 300, 50


def dotted(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path):
    """All modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide the floor"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if is_module(name) else node.module for name in names)


def is_module(name):
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def floor_of(module):
    return FLOORS.index(module.split(".")[1])


def lesson_of(module):
    """The folder of a lesson, or None for everything else."""
    parts = module.split(".")
    return parts[2] if parts[1] == "lessons" and parts[2:] and parts[2].startswith("nb") else None


def too_high(module, imported):
    """Whether `module` may not import `imported`."""
    if imported.split(".")[0] != "tlcourse":
        return imported.split(".")[0] in PRESENTATION and floor_of(module) < FLOORS.index(FIRST_TO_SHOW)
    if imported == "tlcourse" or floor_of(imported) > floor_of(module):
        return True
    return None not in (lesson_of(module), lesson_of(imported)) and lesson_of(module) != lesson_of(imported)


def test_every_folder_has_its_floor():
    there = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert there - {"__init__"} == set(FLOORS)


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_imports_go_down(path):
    wrong = [imported for imported in imports(path) if too_high(dotted(path), imported)]
    assert not wrong, f"{dotted(path)} may not import {wrong}"


def test_the_rule_can_fail():
    assert too_high("tlcourse.evaluation.intervals", "tlcourse.training.loop")
    assert too_high("tlcourse.training.loop", "matplotlib.pyplot")
    assert too_high("tlcourse.lessons.nb00_start_here.lab", "tlcourse.lessons.nb03_fine_tuning.lab")
    assert not too_high("tlcourse.lessons.nb00_start_here.lab", "tlcourse.lessons.nb00_start_here.figures")
    assert not too_high("tlcourse.notebook.figures", "matplotlib.pyplot")
    assert not too_high("tlcourse.training.loop", "tlcourse.training.checkpoint")


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
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE
    long = {name: lines for name, lines in functions(path) if lines > LONGEST_FUNCTION}
    assert not long, f"{dotted(path)}: over {LONGEST_FUNCTION} lines without the docstring: {long}"


def test_functions_are_short_on_the_whole():
    sizes = sorted(lines for path in MODULES for _, lines in functions(path))
    assert sizes[len(sizes) // 2] <= 12


def test_no_catch_all_modules():
    assert not [path for path in MODULES if path.stem in ("utils", "helpers", "misc", "common")]


def picture():
    """One line a floor, lowest first: how many modules and lines it has, and which floors it imports."""
    lines = []
    for floor, name in enumerate(FLOORS):
        members = [path for path in MODULES if floor_of(dotted(path)) == floor]
        below = {i.split(".")[1] for path in members for i in imports(path) if i.startswith("tlcourse.")} - {name}
        size = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in members)
        arrows = ", ".join(sorted(below, key=FLOORS.index)) or "nothing"
        lines.append(f"{name:12s}{len(members):4d} modules {size:6d} lines -> {arrows}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(picture())
