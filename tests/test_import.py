"""Importing the package does nothing but define things."""

import subprocess
import sys

import pytest

import tlcourse
from tlcourse import cli

CODE = """
import os, random, sys
import numpy, torch, torchvision
random.seed(1); numpy.random.seed(1); torch.manual_seed(1)
def state():
    draws = random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    flags = torch.are_deterministic_algorithms_enabled(), torch.get_default_dtype(), torch.is_grad_enabled()
    return draws, flags, torch.get_num_threads()
before = state()
opened = []
sys.addaudithook(lambda event, args: opened.append(args[0]) if event == "open" and is_writing(args) else None)
def is_writing(args):
    mode, access = args[1], args[2]
    return bool(access & (os.O_WRONLY | os.O_RDWR)) if isinstance(access, int) else "w" in (mode or "")
from tlcourse import *
assert state() == before, "a global state moved"
assert not opened, f"files were opened for writing: {opened}"
heavy = {"matplotlib", "pandas", "ipywidgets", "IPython", "sklearn", "scipy.ndimage"} & set(sys.modules)
assert not heavy, f"imported without need: {heavy}"
"""


def test_import_has_no_side_effects(environment, tmp_path):
    run = subprocess.run(
        [sys.executable, "-B", "-c", CODE], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert not list(tmp_path.iterdir())


def test_threads_that_wait_do_not_spin_for_long_unless_somebody_says_otherwise(environment):
    code = "import os, tlcourse; print(os.environ['GOMP_SPINCOUNT'])"
    for given, expected in (({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7")):
        known = {name: value for name, value in environment.items() if name != "GOMP_SPINCOUNT"} | given
        run = subprocess.run([sys.executable, "-c", code], env=known, capture_output=True, text=True)
        assert run.stdout.strip() == expected, run.stderr


def test_a_command_hears_ctrl_c_before_pytorch_is_there(environment):
    """Its import takes seconds; whoever stops it then shall see no traceback."""
    code = "import sys, tlcourse.__main__; assert not {'torch', 'numpy'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
    code = """
import builtins, sys
from tlcourse.__main__ import main
true_import = builtins.__import__
def stop(name, *rest):
    if name == "torch": raise KeyboardInterrupt
    return true_import(name, *rest)
builtins.__import__ = stop
sys.exit(main(["finetune", "a", "--out", "b"]))
"""
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (cli.STOPPED, "\nstopped.\n")


def test_everything_exported_exists():
    assert sorted(tlcourse.__all__) == tlcourse.__all__
    assert all(getattr(tlcourse, name) is not None for name in tlcourse.__all__)


@pytest.mark.parametrize("name", tlcourse.FOR_NOTEBOOKS)
def test_what_notebooks_need_is_there_when_it_is_asked_for(name):
    there = getattr(tlcourse, name)
    assert callable(there) or name == "figures"
    assert name in dir(tlcourse)


def test_a_name_that_there_is_not():
    with pytest.raises(AttributeError, match="has no attribute 'sing'"):
        _ = tlcourse.sing
