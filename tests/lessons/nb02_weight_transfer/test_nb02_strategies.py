import pytest
import torch
from torch import nn

from tests.weights import changed, copies
from tlcourse.data.normalisation import scale
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import accuracy, extract_features
from tlcourse.lessons.nb02_weight_transfer import strategies as module
from tlcourse.lessons.nb02_weight_transfer.strategies import (
    CARRIED,
    CLASS_MEANS,
    SCALE,
    STRATEGIES,
    carry_over,
    frozen_trial,
    starting_network,
    strategy_table,
    take_steps,
    transfer_strategies,
    trial,
)
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.results import intervals, results
from tlcourse.training.recipe import CONVERGED, Recipe
from tlcourse.transfer.freezing import freeze

SHORT = Recipe(epochs=1, steps=2)
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


@pytest.fixture(scope="module")
def labelled():
    return load("handwritten-photo").few(5)


@pytest.fixture(scope="module")
def batch(labelled):
    return scale(labelled.images), labelled.labels


@pytest.fixture
def few_images(labelled, monkeypatch):
    """A world of 50 images, to train and to test on."""
    monkeypatch.setattr(module, "_pools", lambda world: (labelled, labelled))


@pytest.mark.parametrize("strategy", CARRIED)
def test_each_strategy_carries_what_it_says_and_the_rest_is_random(strategy):
    source, depth, with_its_head = CARRIED[strategy]
    model, theirs, random = carry_over(strategy, 4), pretrained("tiny_resnet", source), carry_over("random", 4)
    parts = list(model.stages())[:depth] + (["head"] if with_its_head else [])
    for name, tensor in model.state_dict().items():
        origin = theirs if name.split(".")[0] in parts else random
        assert torch.equal(tensor, origin.state_dict()[name]), name
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not torch.equal(random.stem[0].weight, carry_over("random", 5).stem[0].weight)


def test_a_head_of_class_means_stands_on_the_backbone_of_letters(labelled):
    model, letters = starting_network(CLASS_MEANS, labelled, 0), pretrained("tiny_resnet", "letters").state_dict()
    assert all(name.startswith("head.") for name in changed(model, {**copies(model), **letters}))
    features = extract_features(model, labelled)
    assert torch.allclose(model.head.weight[3], SCALE * features[labelled.labels == 3].mean(0))
    assert accuracy(model, labelled) > 60


def test_a_trial_measures_before_and_after_and_names_its_budget(labelled, few_images):
    row, again = (trial("digits, everything", 0, per_class=1, recipe=SHORT) for _ in range(2))
    assert row == again
    assert row["before"] == accuracy(carry_over("digits, everything", 0), labelled)
    assert {name: row[name] for name in SHORT.budget} == SHORT.budget
    assert row["accuracy"] != row["before"]


def test_only_statistics_that_adapt_change_what_a_probe_is_solved_on(few_images, monkeypatch):
    seen = {}
    monkeypatch.setattr(module, "linear_probe", lambda model, _: seen.update({len(seen): copies(model)}))
    for policy in ("keep", "adapt"):
        frozen_trial(policy, 0)
    source = carry_over("letters, all but the head", 0)
    assert not changed(source, seen[0])
    assert changed(source, seen[1]) == {name for name in seen[1] if name.endswith(STATISTICS)}


def test_the_plan_is_covered(few_images):
    long = Recipe(epochs=2, steps=2)
    rows = transfer_strategies([0, 1], ["random", CLASS_MEANS], [SHORT, long], progress=False)
    cells = rows[["updates", "strategy", "seed"]].itertuples(index=False, name=None)
    assert list(cells) == [(u, s, seed) for u in (2, 4) for s in ("random", CLASS_MEANS) for seed in (0, 1)]


def test_the_table_of_what_ships():
    trials = results("transfer_strategies")
    table = strategy_table(trials)
    assert table["strategy"].tolist() == list(STRATEGIES)
    random = intervals(trials[trials["updates"] == CONVERGED.updates], by="strategy").iloc[0]
    assert table["600 updates (%)"][0].startswith(f"{random['mean']:.1f} [")


@pytest.mark.parametrize("plain", [True, False])
def test_plain_training_mode_moves_statistics_of_frozen_stages_and_careful_steps_do_not(batch, plain):
    model = carry_over("letters, all but the head", 0)
    freeze(model)
    before = copies(model)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    take_steps(model, *batch, optimizer, plain_train=plain)
    statistics = {name for name in before if name.endswith(STATISTICS)}
    assert changed(model, before) == {"head.weight", "head.bias"} | (statistics if plain else set())


@pytest.mark.parametrize(
    ("options", "zero", "still"),
    [
        ({"momentum": 0.9}, True, False),
        ({"weight_decay": 0.1}, True, False),
        ({}, True, True),
        ({"momentum": 0.9, "weight_decay": 0.1}, False, True),
    ],
)
def test_zeroed_gradients_move_frozen_weights_and_dropped_ones_do_not(batch, options, zero, still):
    model = pretrained("small_cnn", "letters")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, **options)
    take_steps(model, *batch, optimizer, 1)
    model.conv1.requires_grad_(False)
    before = copies(model)
    take_steps(model, *batch, optimizer, 2, zero_gradients=zero)
    assert changed(model, before) == {name for name in before if not (still and name.startswith("conv1."))}


def test_steps_are_ordinary_sgd(batch):
    x, y = batch
    model, twin = nn.Linear(3 * 32 * 32, 10), nn.Linear(3 * 32 * 32, 10)
    twin.load_state_dict(model.state_dict())
    take_steps(model, x.flatten(1), y, torch.optim.SGD(model.parameters(), lr=0.1), 1)
    gradient = torch.autograd.grad(nn.functional.cross_entropy(twin(x.flatten(1)), y), twin.weight)[0]
    assert torch.allclose(model.weight, twin.weight - 0.1 * gradient, atol=1e-7)
