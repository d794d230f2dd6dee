"""Strategies do what their names say, from the same weights and with the same budget."""

import dataclasses

import pytest
import torch

from tests.weights import changed
from tlcourse.data.worlds import load
from tlcourse.lessons.nb03_fine_tuning.strategies import BASELINES, STRATEGIES
from tlcourse.models.pretrained import pretrained
from tlcourse.training.checkpoint import History
from tlcourse.training.loop import NonFiniteLossError
from tlcourse.training.recipe import Recipe
from tlcourse.transfer.heads import get_classifier
from tlcourse.transfer.linear_probe import linear_probe

TINY = Recipe(epochs=2, steps=2, batch=8)
HEADS = ("linear probe", "frozen backbone, AdamW")
WHOLE = [name for name in STRATEGIES if name not in HEADS and name != "gradual unfreezing"]


@pytest.fixture(scope="module")
def few():
    return load("handwritten-photo").few(2)


def moved(name, few, recipe=TINY, setting=None):
    """Train by a strategy and return the stages whose numbers changed, and the network."""
    strategy = STRATEGIES[name]
    model, before = strategy.start(0), strategy.start(0).state_dict()
    strategy.train(model, few, 0, setting or strategy.setting, recipe)
    return {number.split(".")[0] for number in changed(model, before)}, model


@pytest.mark.parametrize("name", [*HEADS, *WHOLE])
def test_a_frozen_backbone_does_not_move_and_everything_else_does(name, few):
    stages, model = moved(name, few)
    assert stages == {model.head_name} | (set() if name in HEADS else set(model.stages()))


def test_gradual_unfreezing_reaches_as_deep_as_its_epochs(few):
    assert moved("gradual unfreezing", few, dataclasses.replace(TINY, epochs=1, steps=4))[0] == {"head"}
    assert moved("gradual unfreezing", few, dataclasses.replace(TINY, epochs=3))[0] == {"head", "block3", "block4"}


def test_lp_ft_begins_where_the_probe_ends(few):
    probe = STRATEGIES["LP-FT"].start(0)
    linear_probe(probe, few)
    _, model = moved("LP-FT", few, setting=1e-9)
    assert torch.allclose(get_classifier(model).weight, get_classifier(probe).weight, atol=1e-5)


def test_small_rates_move_less(few):
    name, slow, fast = "discriminative rates", "block4", "head"
    before, (_, model) = STRATEGIES[name].start(0).state_dict(), moved(name, few)
    full = moved("fine-tuned", few, setting=STRATEGIES[name].setting)[1].state_dict()

    def way(weights, stage):
        pairs = [(t, before[n]) for n, t in weights.items() if n.startswith(stage) and n.endswith("weight")]
        return sum((a - b).abs().sum().item() for a, b in pairs)

    assert way(model.state_dict(), slow) < 0.3 * way(full, slow)
    assert way(model.state_dict(), fast) > 0.5 * way(full, fast)


def test_l2_sp_stays_nearer_to_the_start(few):
    before, recipe = STRATEGIES["L2-SP"].start(0).state_dict(), dataclasses.replace(TINY, epochs=4)
    near, far = (moved(name, few, recipe, 1e-2)[1].state_dict() for name in ("L2-SP", "fine-tuned"))
    ways = [sum((weights[n] - t).norm().item() for n, t in before.items() if "conv" in n) for weights in (near, far)]
    assert ways[0] < ways[1]


def test_early_stopping_learns_from_four_fifths(few, monkeypatch):
    seen = []

    def train(_model, images, *_, **options):
        seen.append((images, options))
        return History()

    monkeypatch.setattr("tlcourse.lessons.nb03_fine_tuning.strategies.train", train)
    labelled = load("handwritten-photo").few(5)
    STRATEGIES["early stopping"].train(STRATEGIES["scratch"].start(0), labelled, 0, 1e-3, TINY)
    ((learn, options),) = seen
    assert (len(learn), len(options["validation"]), options["patience"]) == (40, 10, 3)
    assert learn.shared_with(options["validation"]) == 0


def test_a_loss_that_breaks_is_an_error(few):
    broken = dataclasses.replace(STRATEGIES["fine-tuned"], steps=lambda *_: iter(torch.tensor([1.0, 2.0, torch.nan])))
    with pytest.raises(NonFiniteLossError, match=r"became nan in epoch 1, batch 0.*ten times smaller"):
        broken.train(None, few, 0, 1e-3, TINY)


def test_all_but_the_ready_made_start_from_the_same_weights():
    starts = {name: s.start(3).state_dict() for name, s in STRATEGIES.items() if s.carried and name not in BASELINES}
    first = starts.pop("fine-tuned")
    assert all(torch.equal(first[n], weights[n]) for weights in starts.values() for n in first)
    assert not torch.equal(first["head.weight"], STRATEGIES["fine-tuned"].start(4).state_dict()["head.weight"])
    letters = pretrained("tiny_resnet", "letters").state_dict()
    assert torch.equal(first["stem.0.weight"], letters["stem.0.weight"])


def test_the_budget_is_the_same(few, monkeypatch):
    """Updates, and images an update, of everything that goes through the loop; the recipe is the same object."""
    budgets, real = {}, type(few).batches
    for name, strategy in STRATEGIES.items():
        if name == "linear probe":
            continue
        seen = []
        with monkeypatch.context() as patch:
            patch.setattr(
                type(few),
                "batches",
                lambda self, size, seen=seen, **o: seen.append((size, o["steps"])) or real(self, size, **o),
            )
            strategy.train(strategy.start(0), few, 0, 1e-3, TINY)
        budgets[name] = seen[0]
    assert {budget for name, budget in budgets.items() if name not in BASELINES} == {(8, 2)}
    assert {budgets[name] for name in BASELINES} == {(20, 2)}  # all 20 images: 128 are not there
