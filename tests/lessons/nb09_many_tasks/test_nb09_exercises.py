"""What the checks of notebook 09 draw and recognise is what the library computes."""

import numpy as np
import pytest
import torch

from tlcourse.lessons.nb09_many_tasks import checks as ex
from tlcourse.lessons.nb09_many_tasks.fair_steps import fairest, fairness, problems, worst_gain
from tlcourse.multitask.losses import task_losses
from tlcourse.multitask.pcgrad import pcgrad
from tlcourse.multitask.tasks import Task


def test_what_is_foreseen_is_what_the_library_does():
    names = {}
    exec(f"{ex.q1.setup}\n{ex.q1.snippet}", names)
    rows = torch.stack([names["one"], names["two"]])
    for found, direction in zip(names["result"], (rows.sum(0), pcgrad(rows @ rows.T) @ rows), strict=True):
        np.testing.assert_allclose(torch.stack(found), torch.cat([direction, rows @ direction]), atol=1e-6)


def test_eight_numbers_may_be_a_dict_or_an_array():
    right = np.array([[-1, 1, -1, 3], [0.2, 1.4, 0.2, 1.0]])
    written = (right, torch.tensor(right), right.tolist(), dict(zip(("sum", "PCGrad"), right.tolist(), strict=True)))
    assert all(ex._rows(each).tolist() == right.tolist() for each in written)
    assert all(ex._rows(each) is None for each in (None, 3, "rows", right[:, :3], right > 1, [["a"] * 4] * 2))


@pytest.mark.parametrize("seed", range(3))
def test_the_losses_that_are_asked_for_are_those_of_the_library(seed):
    loss = ex.q2.made_by(ex.q2.reference)
    for case in ex.q2.cases(seed):
        logits, degrees, labels, angles, spread = case.arguments
        tasks = [Task("class", 3), Task("angle", 0, 0.0, spread)]
        outputs = torch.cat([logits, degrees[:, None] / spread], 1)
        expected = task_losses(outputs, torch.stack([labels, angles], 1), tasks).sum()
        assert loss(*case.arguments).item() == pytest.approx(expected.item(), abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_the_surgery_that_is_asked_for_is_that_of_the_library(seed):
    surgery, cases = ex.q3.made_by(ex.q3.reference), ex.q3.cases(seed)
    for (rows,) in (case.arguments for case in cases):
        assert rows.norm(dim=1).min() > 0
        torch.testing.assert_close(surgery(rows), pcgrad(rows @ rows.T) @ rows, atol=1e-5, rtol=1e-5)
    assert any((rows @ rows.T).min() < 0 for (rows,) in (case.arguments for case in cases))


def test_no_other_direction_is_fairer():
    rows, draws = problems(0)[0], torch.Generator().manual_seed(0)
    best = worst_gain(rows, fairest(rows))
    tried = torch.randn(2000, 6, generator=draws, dtype=torch.float64)
    assert best > 0
    assert max(worst_gain(rows, fairest(rows) / fairest(rows).norm() + 0.3 * step) for step in tried) <= best + 1e-9


def test_the_score_of_a_step():
    drawn = problems(1)
    best = torch.stack([fairest(rows) for rows in drawn])
    assert fairness(7 * best, 1) == pytest.approx(100)
    assert fairness(-best, 1) == -100
    assert -60 < fairness(drawn.sum(1), 1) < -15
    with pytest.raises(ValueError, match=r"\[40, 6\] finite numbers"):
        fairness(best * 0, 1)
