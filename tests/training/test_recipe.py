"""`train` is the block that it stands for, written out: AdamW, one cycle of the rate, `fit`."""

import pytest
import torch
import torch.nn.functional as F

from tests.weights import equal
from tlcourse.data.worlds import load
from tlcourse.repro import pick_device
from tlcourse.training.recipe import CONVERGED, Recipe, train
from tlcourse.training.schedules import constant
from tlcourse.training.starts import starting_model
from tlcourse.transfer.freezing import discriminative_lr, trainable, training_mode

QUICK = Recipe(epochs=2, steps=3, batch=10)


@pytest.fixture(scope="module")
def few():
    return load("handwritten-photo").few(2)


@pytest.mark.parametrize("start", ["linear probe", "fine-tuned"])
def test_it_is_the_written_block_bit_for_bit(few, start):
    ours, theirs = starting_model(start, 0), starting_model(start, 0)
    history = train(ours, few, QUICK, seed=4)
    device = pick_device()
    training_mode(theirs.to(device, memory_format=torch.channels_last))
    optimizer = torch.optim.AdamW(trainable(theirs), lr=5e-3, weight_decay=0.01, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=6, cycle_momentum=False)
    batches, losses = few.batches(10, steps=3, transform=QUICK.augment, seed=4), []
    for _ in range(2):
        for x, y in batches:
            loss = F.cross_entropy(theirs(x.to(device, memory_format=torch.channels_last)), y.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
    if device.type == "cpu":  # a GPU computes in 16 bits
        assert equal(ours, theirs)
        assert history.train_loss == pytest.approx([sum(losses[:3]) / 3, sum(losses[3:]) / 3])
    assert history.learning_rate[-1] == optimizer.param_groups[0]["lr"]


def test_equal_rates_by_stage_are_one_rate_and_another_seed_gives_other_bits(few):
    one, staged, other = (starting_model("fine-tuned", 0) for _ in range(3))
    train(one, few, QUICK, lr=1e-3)
    train(staged, few, QUICK, lr=discriminative_lr(staged, 1e-3, 1e-3))
    train(other, few, QUICK, lr=1e-3, seed=1)
    assert equal(one, staged)
    assert not equal(one, other)


def test_another_schedule_takes_the_place_of_the_cycle_and_what_fit_takes_can_be_given(few):
    model = starting_model("linear probe", 0)
    history = train(model, few, QUICK, lr=2e-3, schedule=constant(), validation=few, patience=2)
    assert history.learning_rate == [2e-3] * 2
    assert len(history.validation_loss) == 2


def test_a_recipe_counts_its_updates_and_without_steps_every_image_is_seen_once_an_epoch(few):
    assert Recipe().updates == 100
    assert CONVERGED.budget == {"updates": 600, "batch": 50, "lr": 5e-3, "augmented": True}
    assert not Recipe(augment=None).budget["augmented"]
    whole = Recipe(epochs=1, steps=None, batch=8)
    assert len(whole.batches(few)) == 3
    with pytest.raises(ValueError, match=r"steps is None.*Set steps=10"):
        _ = whole.updates
    assert len(train(starting_model("linear probe", 0), few, whole)) == 1
