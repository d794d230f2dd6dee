"""What the Flower app reads, and what is said without Flower."""

import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import torch
from PIL import Image

from tlcourse.federated.fedbn import FedBN
from tlcourse.federated.flower_app import images, settings

SHIPPED = tomllib.loads((Path(settings.__file__).parent / "pyproject.toml").read_text(encoding="utf-8"))
RUN = SHIPPED["tool"]["flwr"]["app"]["config"]


def test_without_flower_the_error_says_what_to_install(monkeypatch):
    for name in ("flwr", "flwr.app"):  # the second where another test has imported it
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "tlcourse.federated.flower", raising=False)
    with pytest.raises(ModuleNotFoundError, match=r"not installed\. .*pip install 'tlcourse\[federated\]'"):
        import_module("tlcourse.federated.flower")


def test_the_shipped_settings_make_a_network_a_method_and_work():
    network = settings.network(RUN | {"network": "small_cnn"})
    assert network(torch.zeros(1, 3, 32, 32)).shape == (1, 10)
    assert isinstance(settings.method(RUN | {"method": "fedbn"}), FedBN)
    assert settings.method(RUN | {"method": "fedprox", "mu": 0.5}).mu == 0.5
    assert settings.work(RUN | {"lr": 0.02}).lr == 0.02


def test_server_and_client_begin_with_the_same_network():
    one, other = (settings.network(RUN | {"network": "small_cnn", "start": "scratch"}).state_dict() for _ in range(2))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match=r"no method 'scaffold'\. Expected one of: fedavg, fedprox, fedbn"):
        settings.method(RUN | {"method": "scaffold"})


def photograph(folder, name, colour, size=(40, 20)):
    folder.joinpath(name).parent.mkdir(exist_ok=True)
    Image.new("RGB", size, colour).save(folder / name)


def test_a_class_has_the_same_number_at_a_client_that_lacks_another(tmp_path):
    photograph(tmp_path, "dog/b.png", "red")
    photograph(tmp_path, "dog/a.png", "blue")
    photograph(tmp_path, "fox/c.jpg", "white")
    (tmp_path / "fox" / "notes.txt").write_text("no photograph")
    data = images.images_of({"name": "north", "images": str(tmp_path)}, ("cat", "dog", "fox"))
    assert data.labels.tolist() == [1, 1, 2]
    assert data.images.shape == (3, 3, 32, 32)
    assert data.images[:2, :, 0, 0].tolist() == [[0, 0, 255], [255, 0, 0]]


def test_sheets_are_those_named():
    data = images.images_of({"sheets": "2 5"}, ())
    assert data.attributes["sheet"].unique().tolist() == [2, 5]


@pytest.mark.parametrize("node", [{"name": "north"}, {"sheets": "2", "images": "/"}])
def test_a_node_names_images_or_sheets(node):
    with pytest.raises(ValueError, match=r'Expected either images="/path/to/folder"'):
        images.images_of(node, ())


@pytest.mark.parametrize("sheets", ["2 99", ""])
def test_sheets_that_there_are_not_are_refused(sheets):
    with pytest.raises(ValueError, match=r"Expected some of \[0, 1, 2"):
        images.from_sheets(sheets)


def test_a_folder_that_is_no_class_is_refused(tmp_path):
    photograph(tmp_path, "wolf/a.png", "red")
    with pytest.raises(ValueError, match=r"has the folder 'wolf'\. Expected only the classes of the run"):
        images.from_folder(tmp_path, ("cat", "dog"))


def test_a_folder_without_photographs_is_refused(tmp_path):
    with pytest.raises(ValueError, match="has no photograph"):
        images.from_folder(tmp_path, ("cat", "dog"))
