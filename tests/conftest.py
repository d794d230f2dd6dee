"""Every test runs without network, and with a cache folder of its own."""

import os
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Workers side by side share the cores; PyTorch reads this when it is imported, which no test has done yet.
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if WORKERS > 1:
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // WORKERS)))
OFFLINE = Path(__file__).parent / "offline"

runpy.run_path(str(OFFLINE / "sitecustomize.py"))


def pytest_collection_modifyitems(items):
    """Begin with what takes longest, so that in the end no worker is alone with it."""
    items.sort(key=lambda item: item.path.name != "test_browser.py")


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


@pytest.fixture(autouse=True, scope="session")
def no_screen():
    """Figures are drawn into memory, and those of labs with few pixels."""
    import matplotlib as mpl

    from tlcourse.notebook import display

    mpl.use("agg")
    display.QUICK_PIXELS_PER_INCH = 20


@pytest.fixture(autouse=True)
def no_figure_stays():
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


@pytest.fixture
def fake_cifar10(monkeypatch):
    """In place of CIFAR-10, 2100 images a half of dark noise with a bright stripe, elsewhere for every class."""
    import torch

    from tlcourse.data import cifar10
    from tlcourse.repro import generator

    def striped(key, make):
        labels = torch.arange(2100) % 10
        images = torch.randint(0, 100, (2100, 3, 32, 32), dtype=torch.uint8, generator=generator(key["split"]))
        for c in range(10):
            images[labels == c, :, 3 * c : 3 * c + 3] += 155
        return {"images": images, "labels": labels}

    monkeypatch.setattr(cifar10, "cached", striped)


@pytest.fixture
def ax():
    """Axes to draw on."""
    import matplotlib.pyplot as plt

    return plt.subplots()[1]
