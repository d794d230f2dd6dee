import pytest
import torch
from torch import nn

from tlcourse.data.normalisation import scale
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import accuracy, extract_features
from tlcourse.lessons.nb02_weight_transfer import strategies as module
from tlcourse.lessons.nb02_weight_transfer.strategies import (
    CARRIED,
    FROZEN,
    HEADS,
    QUESTIONS,
    carry_over,
    frozen_probe,
    strategy_table,
    take_steps,
    transfer_strategies,
    trial,
    with_head,
)
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.results import results
from tlcourse.training.recipe import Recipe

SHORT = Recipe(epochs=1, steps=2)


@pytest.fixture(scope="module")
def labelled():
    return load("handwritten-photo").few(5)


@pytest.fixture(scope="module")
def batch(labelled):
    return scale(labelled.images), labelled.labels


@pytest.fixture
def few_images(labelled, monkeypatch):
    """A world of 50 images, to train and to test on."""
    monkeypatch.setattr(module, "_halves", lambda world: (labelled, labelled))


def copies(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def moved(model, before):
    return {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}


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


def test_heads_begin_as_they_say(labelled):
    for how in HEADS:
        model = with_head(how, labelled, 0)
        backbone = {n for n in model.state_dict() if not n.startswith("head.")}
        assert not backbone & moved(model, {**copies(model), **pretrained("tiny_resnet", "letters").state_dict()})
        assert model.head.out_features == 10
    assert (with_head("zeros", labelled, 0).head.weight == 0).all()
    assert not torch.equal(with_head("Kaiming", labelled, 0).head.weight, with_head("Kaiming", labelled, 1).head.weight)
    means = with_head("class means", labelled, 0, scale=1.0)
    features = extract_features(means, labelled)
    assert torch.allclose(means.head.weight[3], features[labelled.labels == 3].mean(0))
    assert accuracy(means, labelled) > 60


@pytest.mark.parametrize("strategy", FROZEN)
def test_frozen_probes_move_their_head_and_only_adapting_ones_their_statistics(strategy, few_images):
    before = copies(frozen_probe(strategy, 0))
    changed = moved(trial("batchnorm", strategy, 0, per_class=1, recipe=SHORT)["model"], before)
    statistics = {name for name in before if "running_" in name or "num_batches" in name}
    assert changed - statistics == {"head.weight", "head.bias"}
    assert changed & statistics == (statistics if "adapted" in strategy else set())


def test_a_trial_measures_before_and_after(labelled, few_images):
    row, again = (trial("carried", "digits, everything", 0, per_class=1, recipe=SHORT) for _ in range(2))
    assert row["before"] == again["before"] == accuracy(carry_over("digits, everything", 0), labelled)
    assert row["accuracy"] == again["accuracy"] == accuracy(row["model"], labelled)
    assert row["trained"] == 309_114


def test_the_plan_is_covered(few_images):
    trials = transfer_strategies(
        [0, 1], ["batchnorm", "head"], [*FROZEN, "zeros"], recipe=Recipe(epochs=1, steps=2, batch=10), progress=False
    )
    assert list(trials[["question", "seed", "strategy"]].itertuples(index=False, name=None)) == [
        *(("batchnorm", seed, strategy) for seed in (0, 1) for strategy in FROZEN),
        *(("head", seed, "zeros") for seed in (0, 1)),
    ]
    assert set(trials.loc[trials["question"] == "batchnorm", "trained"]) == {1290}


def test_unknown_names(labelled):
    with pytest.raises(ValueError, match=r"'luck' is not a question. Expected one of: 'carried', 'head', 'batchnorm'"):
        trial("luck", "zeros", 0)
    for call in (lambda: carry_over("zeros", 0), lambda: with_head("ones", labelled, 0), lambda: frozen_probe("x", 0)):
        with pytest.raises(ValueError, match="is not a strategy for"):
            call()


def test_the_table_of_what_ships():
    trials = results("transfer_strategies")
    seeds = trials.groupby(["question", "strategy"])["seed"].nunique()
    assert set(seeds.index) == {(question, s) for question, names in QUESTIONS.items() for s in names}
    assert set(seeds) == {10}
    table = strategy_table(trials[trials["question"] == "head"])
    assert table["strategy"].tolist() == list(HEADS)
    zeros = trials[(trials["question"] == "head") & (trials["strategy"] == "zeros")]
    assert table["accuracy in % [95 % interval]"][0].startswith(f"{zeros['accuracy'].mean():.1f} [")
    assert table["before training, in %"][0] == f"{zeros['before'].mean():.1f}"


@pytest.mark.parametrize("plain", [True, False])
def test_plain_training_mode_moves_statistics_of_frozen_stages_and_careful_steps_do_not(batch, plain):
    model = frozen_probe("frozen, statistics kept", 0)
    before = copies(model)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    take_steps(model, *batch, optimizer, plain_train=plain)
    statistics = {name for name in before if "running_" in name or "num_batches" in name}
    assert moved(model, before) == {"head.weight", "head.bias"} | (statistics if plain else set())


@pytest.mark.parametrize("options", [{"momentum": 0.9}, {"weight_decay": 0.1}])
@pytest.mark.parametrize("zero", [True, False])
def test_zeroed_gradients_move_frozen_weights_and_dropped_ones_do_not(batch, options, zero):
    model = pretrained("small_cnn", "letters")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, **options)
    take_steps(model, *batch, optimizer, 1)
    model.conv1.requires_grad_(False)
    before = copies(model)
    take_steps(model, *batch, optimizer, 2, zero_gradients=zero)
    expected = set(before) if zero else {name for name in before if not name.startswith("conv1.")}
    assert moved(model, before) == expected


def test_without_momentum_and_decay_zeroed_gradients_move_nothing(batch):
    model = pretrained("small_cnn", "letters")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    take_steps(model, *batch, optimizer, 1)
    model.conv1.requires_grad_(False)
    before = copies(model)
    take_steps(model, *batch, optimizer, 2, zero_gradients=True)
    assert not {"conv1.weight", "conv1.bias"} & moved(model, before)


def test_steps_are_ordinary_sgd(batch):
    x, y = batch
    model, twin = nn.Linear(3 * 32 * 32, 10), nn.Linear(3 * 32 * 32, 10)
    twin.load_state_dict(model.state_dict())
    take_steps(model, x.flatten(1), y, torch.optim.SGD(model.parameters(), lr=0.1), 1)
    gradient = torch.autograd.grad(nn.functional.cross_entropy(twin(x.flatten(1)), y), twin.weight)[0]
    assert torch.allclose(model.weight, twin.weight - 0.1 * gradient, atol=1e-7)
