"""Every test runs without network, and with a cache folder of its own."""

import os
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OFFLINE = Path(__file__).parent / "offline"

runpy.run_path(str(OFFLINE / "sitecustomize.py"))


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    os.environ["TLCOURSE_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["TLCOURSE_PROGRESS"] = "off"


@pytest.fixture(scope="session")
def offline():
    """What a program that a test starts needs in its environment: no network, this checkout first."""
    return {"PYTHONPATH": f"{OFFLINE}{os.pathsep}{ROOT}"}


@pytest.fixture
def environment(offline):
    """The whole environment for a program that a test starts."""
    return os.environ | offline


@pytest.fixture
def ax():
    """Axes to draw on, without a screen."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    mpl.use("agg")
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)
