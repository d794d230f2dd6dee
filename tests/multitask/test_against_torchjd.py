"""PCGrad, MGDA and UPGrad by another library, torchjd 0.18; `pip install '.[oracles]'` brings it."""

import pytest
import torch

from tests.multitask.test_rules import gradients, step
from tlcourse.multitask.mgda import mgda
from tlcourse.multitask.pcgrad import pcgrad
from tlcourse.multitask.upgrad import upgrad

WHY = "torchjd, an oracle that nothing else needs, is not installed: pip install '.[oracles]'"
theirs = pytest.importorskip("torchjd.aggregation", reason=WHY)
pytest.importorskip("quadprog", reason=WHY)
linalg = pytest.importorskip("torchjd.linalg", reason=WHY)

SEEDS = range(10)


@pytest.mark.parametrize("tasks", [2, 3, 5])
def test_pcgrad(tasks):
    for seed in SEEDS:
        rows = gradients(tasks, seed=seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            expected = theirs.PCGrad()(rows)
            torch.manual_seed(seed)  # what they draw
            order = torch.stack([torch.randperm(tasks) for _ in range(tasks)])
        torch.testing.assert_close(pcgrad(rows @ rows.T, order) @ rows, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("tasks", [2, 3, 5])
def test_mgda(tasks):
    """For two tasks both are exact; for more, theirs comes near step by step, and ours is as short or shorter."""
    for seed in SEEDS:
        rows = gradients(tasks, seed=seed)
        ours, expected = step(mgda, rows), theirs.MGDA(epsilon=1e-12, max_iters=1000)(rows)
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-6 if tasks == 2 else 0.02)
        assert ours.norm() <= expected.norm() + 1e-9


@pytest.mark.parametrize("tasks", [2, 3, 5])
def test_upgrad(tasks):
    exact = theirs.UPGrad(projector=linalg.QuadprogProjector(norm_eps=0.0, reg_eps=1e-12))
    for seed in SEEDS:
        rows = gradients(tasks, seed=seed)
        torch.testing.assert_close(step(upgrad, rows), exact(rows), rtol=0, atol=1e-6)
