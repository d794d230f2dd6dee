"""The pretended GPU refuses what a real one would, and nothing else."""

import copy
import subprocess
import sys

import nbformat
import numpy as np
import pytest
import torch
import torch.nn.functional as F

import tlcourse as tl
from tools import pretended_gpu as tool
from tools.pretended_gpu import pretended_gpu

MIXED = "Expected all tensors to be on the same device"


@pytest.fixture
def few():
    return tl.load("handwritten-photo", split="train", count=20)


def test_training_and_prediction_go_through_and_leave_nothing_behind(few):
    model = tl.TinyResNet()
    with pretended_gpu():
        tl.fit(model, few.batches(10), epochs=1)
        assert next(model.parameters()).device == torch.device("cuda", 0)
        answers = tl.predict(model, few)
        assert answers.device.type == "cpu"
    assert next(model.parameters()).device.type == "cpu", "outside, all is on the CPU"
    assert torch.equal(answers, tl.predict(model, few))


def test_images_here_and_a_network_there_are_refused(few):
    model, x = tl.TinyResNet(), tl.scale(few.images)
    with pretended_gpu():
        model.to("cuda")
        with pytest.raises(RuntimeError, match=MIXED):
            model(x)
        with pytest.raises(RuntimeError, match=MIXED):
            copy.deepcopy(model)(x)
        loss = F.cross_entropy(model(x.to("cuda")), few.labels.to("cuda"))
        loss.backward()
        torch.optim.AdamW(model.parameters(), fused=True).step()
        slope = model.head.bias.grad
        with pytest.raises(RuntimeError, match=MIXED):
            slope + torch.zeros(10)
        assert (slope.cpu() + torch.zeros(10)).device.type == "cpu"
        assert model.cpu()(x).device.type == "cpu"


def test_what_pytorch_allows_between_devices_is_allowed():
    with pretended_gpu():
        x = torch.arange(6.0)
        there = x.to("cuda")
        assert x.device.type == "cpu", "the original stays where it is"
        assert (there * torch.tensor(2.0)).device.type == "cuda", "one number may come from the CPU"
        assert there[torch.tensor([0, 2])].device.type == "cuda", "so may indices"
        x.copy_(there)
        assert x.device.type == "cpu"
        assert torch.zeros(3, device="cuda").tolist() == [0, 0, 0]
        leaf = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad((leaf.to("cuda") * there).sum(), leaf)
        assert slope.device.type == "cpu"


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (lambda here, there: there.numpy(), TypeError),
        (lambda here, there: np.asarray(there), TypeError),
        (lambda here, there: here[there.long()], RuntimeError),
        (lambda here, there: torch.stack([here, there]), RuntimeError),
        (lambda here, there: torch.equal(here, there), RuntimeError),
        (lambda here, there: torch.rand(3, generator=tl.generator("cpu"), device="cuda"), RuntimeError),
    ],
    ids=["numpy", "asarray", "index", "stack", "equal", "generator"],
)
def test_what_pytorch_refuses_is_refused(asked, error):
    with pretended_gpu():
        here = torch.zeros(3)
        with pytest.raises(error, match=r"cuda|devic"):
            asked(here, here.to("cuda"))


def test_failing_cells_of_a_notebook_are_named(tmp_path, environment):
    sources = ("import torch\nx = torch.ones(2)\ny = x.to('cuda')", "x + y", "x + y.cpu()")
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "one.ipynb")
    command = [sys.executable, tool.__file__, tmp_path / "one.ipynb"]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stdout.count("one.ipynb, cell") == 1
    assert f"cell {cells[1].id}:" in done.stdout
    assert MIXED in done.stdout
