"""The two ways to set up agree, the two commands do what the README says, and everything needed is packed."""

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

import tlcourse
from tlcourse import cli
from tools import draw_pictures

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())
# conda-forge and pip call two packages by different names: matplotlib-base is matplotlib without a window toolkit.
CONDA_NAMES = {"torch": "pytorch", "matplotlib": "matplotlib-base"}
TOP_LEVEL = {
    *("notebooks", "tlcourse", "tests", "tools", "benchmarks", ".ci"),
    *("environment.yml", "README.md", "LICENSE", "NOTICE", "CONTRIBUTING.md", "CHANGELOG.md"),
    *("Makefile", "pyproject.toml", "constraints.txt", ".gitignore"),
}


def requirements():
    """What the course and its tests need; the oracles, which a few tests can do without, are apart."""
    project = PROJECT["project"]
    return [Requirement(line) for line in [*project["dependencies"], *project["optional-dependencies"]["test"]]]


def pinned():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    return {canonical(line.split("==")[0]): Version(line.split("==")[1]) for line in lines}


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def recipe(target, *flags):
    """What make would run for a target, without running it."""
    command = ["make", "--dry-run", "--always-make", "--no-print-directory", target, *flags]
    return subprocess.run(command, cwd=ROOT, env=alone(), capture_output=True, text=True, check=True).stdout


def alone():
    """The environment without what a make that runs these tests leaves there for other makes."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}


needs_make = pytest.mark.skipif(sys.platform == "win32", reason="Windows takes the conda route, without make")


def test_conda_and_pip_ask_for_the_same():
    """Python and pip come from conda alone, since a virtual environment has them already.

    nbgrader and playwright serve the tests alone; nbgrader brings menus of its own, so learners do not get it.
    """
    listed = [line.replace(" ", "") for line in CONDA["dependencies"] if isinstance(line, str) and line != "pip"]
    wanted = [
        f"{CONDA_NAMES.get(r.name, r.name)}{r.specifier}"
        for r in requirements()
        if r.name not in ("nbgrader", "playwright")
    ]
    assert sorted(listed) == sorted([*wanted, f"python{PROJECT['project']['requires-python']}"])


def test_conda_lets_pip_add_the_course_alone():
    assert CONDA["channels"] == ["conda-forge"]
    assert [line["pip"] for line in CONDA["dependencies"] if isinstance(line, dict)] == [["--editable ."]]


def test_every_requirement_has_a_lower_bound_and_no_upper_one():
    assert all([s.operator for s in r.specifier] == [">="] for r in requirements())


def test_what_few_need_is_pinned():
    extras = PROJECT["project"]["optional-dependencies"]
    assert set(extras) == {"test", "oracles", "federated", "onnx", "bench"}
    for line in [*extras["oracles"], *extras["federated"], *extras["onnx"], *extras["bench"]]:
        assert [s.operator for s in Requirement(line).specifier] == ["=="]
    told = (ROOT / "environment.yml").read_text()
    assert all(f"'.[{extra}]'" in told for extra in ("oracles", "federated", "onnx", "bench"))


def test_the_last_verified_versions_are_within_bounds():
    pins = pinned()
    for requirement in requirements():
        assert pins[canonical(requirement.name)] in requirement.specifier


def test_no_pin_binds_to_one_kind_of_machine():
    """GPU packages differ between machines and follow from torch; a local version such as 2.1+cpu exists nowhere."""
    assert not [name for name in pinned() if name.startswith(("nvidia", "cuda", "triton"))]


@needs_make
@pytest.mark.parametrize(
    ("target", "parts"),
    [
        ("lab", ["--editable .\n", "jupyter lab", "notebooks/00_start_here.ipynb"]),
        ("bench", ["--editable '.[bench]'", "-m benchmarks.peers"]),
        (
            "test",
            ["--editable '.[test]'", "ruff check .", "ruff format --check .", "-m pytest", "tools/run_notebooks.py"],
        ),
    ],
)
def test_commands_install_verified_versions_and_then_run_what_they_promise(target, parts):
    commands = recipe(target)
    for part in ("-m venv .venv", "pip install --constraint constraints.txt --editable .", *parts):
        assert part in commands
    assert ("[test]" in commands) == (target == "test"), "learners do not get what only the tests need"


@needs_make
def test_an_old_python_is_told_what_to_do(tmp_path):
    old = tmp_path / "python3.9"
    old.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "import sys; sys.version_info = (3, 9); $2"\n')
    old.chmod(0o755)
    command = ["make", "--always-make", "lab", f"PYTHON={old}"]
    run = subprocess.run(command, cwd=ROOT, env=alone(), capture_output=True, text=True)
    assert run.returncode
    assert "Python 3.11 or newer is needed" in run.stderr
    assert "make lab PYTHON=" in run.stderr


def test_the_command_is_installed_and_does_the_same_as_the_module():
    script = Path(sys.executable).with_name("tlcourse.exe" if sys.platform == "win32" else "tlcourse")
    said = [
        subprocess.run([*start, "--help"], capture_output=True, text=True, check=True).stdout
        for start in ([script], [sys.executable, "-m", "tlcourse"])
    ]
    assert said[0] == said[1]
    assert all(command in said[0] for command in ("progress", "grade", "editions"))


def test_ci_calls_make_test():
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith("exec make test")


def test_the_readme_names_the_commands_and_every_notebook():
    readme = (ROOT / "README.md").read_text()
    for command in ("make lab", "make test", "conda env create --file environment.yml", "conda activate tlcourse"):
        assert command in readme
    assert CONDA["name"] == "tlcourse"
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"notebooks/{notebook.name}" in readme


def commands_in_the_readme():
    """The lines of its blocks that call the course's own command, without what they say about it."""
    blocks = re.findall(r"^```\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("tlcourse ")]


@pytest.mark.parametrize("words", commands_in_the_readme(), ids=" ".join)
def test_a_command_in_the_readme_has_arguments_that_it_understands(words, monkeypatch):
    asked = []
    module = importlib.import_module(cli.COMMANDS[words[1]][0])
    monkeypatch.setattr(module, "run", lambda options: asked.append(options) or 0)
    assert cli.main(words[1:]) == 0
    assert len(asked) == 1
    assert all(re.fullmatch(r"[\w./,-]+", word) for word in words)


def test_the_readme_shows_every_command_and_every_folder_of_the_module():
    assert {words[1] for words in commands_in_the_readme()} == set(cli.COMMANDS) - {"progress"}
    folders = [path.parent.name for path in (ROOT / "tlcourse").glob("*/__init__.py")]
    line = next(line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("| `tlcourse/` |"))
    assert [name for name in folders if f"`{name}`" not in line] == []


def test_pictures_in_the_readme_exist_and_have_a_text():
    pictures = re.findall(r"!\[(.*?)\]\((.*?)\)", (ROOT / "README.md").read_text(), re.DOTALL)
    assert pictures
    for text, path in pictures:
        assert len(text) >= 30
        assert (ROOT / path).exists()


def test_the_picture_of_the_result_shows_the_shipped_trials():
    assert draw_pictures.is_current(), "the trials have changed: run `make tidy`"


def test_the_top_level_holds_what_convention_expects():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert {line.split("/")[0] for line in listed.stdout.splitlines()} == TOP_LEVEL


def test_the_version_is_written_the_same_everywhere():
    assert PROJECT["project"]["version"] == tlcourse.__version__
    assert f"## {tlcourse.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_what_the_package_reads_is_packed_with_it():
    patterns = PROJECT["tool"]["setuptools"]["package-data"]
    packed = {p for package, globs in patterns.items() for g in globs for p in path_of(package).glob(g)}
    needed = {p for p in (ROOT / "tlcourse").rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc")}
    assert packed == needed


def path_of(package):
    return ROOT.joinpath(*package.split("."))


def test_notice_names_what_the_worlds_are_made_of():
    notice = (ROOT / "NOTICE").read_text()
    for part in ("load_digits", "china.jpg", "flower.jpg", "DejaVu", "STIX", "Computer Modern"):
        assert part in notice
    for entry in json.loads((ROOT / "tlcourse/models/weights/manifest.json").read_text()).values():
        assert "CC BY 2.0" in entry["licence"]
