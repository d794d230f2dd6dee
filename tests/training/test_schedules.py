"""Schedules by hand against those of PyTorch, update by update, and what they do at their ends."""

import pytest
import torch
from torch.optim import lr_scheduler

from tlcourse.training.schedules import between, constant, cosine, one_cycle, steps, then, warm_up

RATE = 0.4
CASES = {
    "constant": (constant(), lambda o: lr_scheduler.ConstantLR(o, 1.0), 20),
    "warm-up": (warm_up(10, 0.1), lambda o: lr_scheduler.LinearLR(o, 0.1, total_iters=10), 25),
    "steps": (steps(7, 0.3), lambda o: lr_scheduler.StepLR(o, 7, 0.3), 30),
    "cosine": (cosine(20), lambda o: lr_scheduler.CosineAnnealingLR(o, 20), 21),
    "cosine to a floor": (cosine(20, 0.1), lambda o: lr_scheduler.CosineAnnealingLR(o, 20, eta_min=0.1 * RATE), 21),
    "one cycle": (
        one_cycle(40),
        lambda o: lr_scheduler.OneCycleLR(o, RATE, total_steps=40, cycle_momentum=False),
        40,
    ),
    "one cycle, other shape": (
        one_cycle(37, 0.5, 0.1, 0.001),
        lambda o: lr_scheduler.OneCycleLR(
            o, RATE, total_steps=37, pct_start=0.5, div_factor=10, final_div_factor=100, cycle_momentum=False
        ),
        37,
    ),
    "warm-up, then cosine": (
        then(warm_up(5, 0.2), 5, cosine(15)),
        lambda o: lr_scheduler.SequentialLR(
            o, [lr_scheduler.LinearLR(o, 0.2, total_iters=5), lr_scheduler.CosineAnnealingLR(o, 15)], milestones=[5]
        ),
        20,
    ),
}


def rates(make, count):
    """The rate of every update, asked of an optimiser."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=RATE)
    schedule, seen = make(optimizer), []
    for _ in range(count):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step() if len(seen) < count else None
    return seen


@pytest.mark.filterwarnings("ignore:The epoch parameter")  # SequentialLR's own
@pytest.mark.parametrize("name", CASES)
def test_every_rate_is_pytorchs(name):
    ours, theirs, count = CASES[name]
    expected = rates(theirs, count)
    assert [RATE * ours(update) for update in range(count)] == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert rates(lambda o: lr_scheduler.LambdaLR(o, ours), count) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert name == "constant" or len({round(rate, 12) for rate in expected}) > 3


def test_ends_and_tops():
    cycle = [one_cycle(100)(update) for update in range(100)]
    assert cycle[0] == pytest.approx(1 / 25)
    assert cycle[-1] == pytest.approx(1 / 250_000)
    assert max(cycle) == cycle[29] == 1
    assert cosine(10)(10) == cosine(10)(99) == 0
    assert warm_up(10)(10) == warm_up(10)(99) == 1
    assert steps(10)(9) == 1
    assert steps(10)(10) == pytest.approx(0.1)
    assert [between(2.0, 4.0, share) for share in (0, 0.5, 1)] == pytest.approx([2, 3, 4])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: warm_up(0), "length is 0"),
        (lambda: warm_up(5, 1.5), "start is 1.5"),
        (lambda: steps(0), "every is 0"),
        (lambda: steps(5, 0.0), "factor is 0"),
        (lambda: cosine(0), "total is 0"),
        (lambda: cosine(5, -1.0), "floor is -1"),
        (lambda: one_cycle(100, 1.0), "got 100 updates, 1 of them rising"),
        (lambda: one_cycle(3), "got 3 updates"),
        (lambda: then(constant(), 0, constant()), "length is 0"),
    ],
)
def test_impossible_schedules(make, message):
    with pytest.raises(ValueError, match=message):
        make()
