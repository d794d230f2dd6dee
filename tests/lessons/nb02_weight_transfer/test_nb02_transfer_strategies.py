import dataclasses

import pytest
import torch
from torch import nn

from tlcourse.data.normalisation import scale
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import accuracy, extract_features
from tlcourse.lessons.nb02_weight_transfer.transfer_strategies import (
    CARRIED,
    FROZEN,
    HEADS,
    QUESTIONS,
    STRATEGY_CURVE,
    STRATEGY_HEADER,
    StrategyTrial,
    carry_over,
    frozen_probe,
    read_strategies,
    run_strategies,
    run_strategy,
    strategy_gain,
    strategy_scores,
    strategy_summary,
    strategy_table,
    take_steps,
    with_head,
)
from tlcourse.models.pretrained import pretrained
from tlcourse.training.recipe import Recipe

SHORT = Recipe(epochs=1, steps=2)


@pytest.fixture(scope="module")
def labelled():
    return load("handwritten-photo").few(2)


@pytest.fixture(scope="module")
def batch(labelled):
    return scale(labelled.images), labelled.labels


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
def test_frozen_probes_move_their_head_and_only_adapting_ones_their_statistics(strategy, labelled):
    model = frozen_probe(strategy, 0)
    before = copies(model)
    run = run_strategy("batchnorm", strategy, 0, train=labelled, test=labelled, per_class=1, recipe=SHORT)
    changed = moved(run[1], before)
    statistics = {name for name in before if "running_" in name or "num_batches" in name}
    assert changed - statistics == {"head.weight", "head.bias"}
    assert changed & statistics == (statistics if "adapted" in strategy else set())


def test_a_trial_measures_before_and_after(labelled):
    options = {"train": labelled, "test": labelled, "per_class": 1, "recipe": SHORT}
    trial, model = run_strategy("carried", "digits, everything", 0, **options)
    assert trial.before == accuracy(carry_over("digits, everything", 0), labelled)
    assert trial.accuracy == accuracy(model, labelled)
    assert trial.trained == 309_114
    again, _ = run_strategy("carried", "digits, everything", 0, **options)
    assert dataclasses.replace(again, seconds=0.0) == dataclasses.replace(trial, seconds=0.0)


def test_the_plan_is_covered():
    trials = run_strategies([0, 1], ["batchnorm", "head"], [*FROZEN, "zeros"], recipe=SHORT, progress=False)
    assert [(t.question, t.seed, t.strategy) for t in trials] == [
        *(("batchnorm", seed, strategy) for seed in (0, 1) for strategy in FROZEN),
        *(("head", seed, "zeros") for seed in (0, 1)),
    ]
    assert {t.trained for t in trials if t.question == "batchnorm"} == {1290}


def test_unknown_names(labelled):
    with pytest.raises(ValueError, match=r"'luck' is not a question. Expected one of: 'carried', 'head', 'batchnorm'"):
        run_strategy("luck", "zeros", 0, train=labelled, test=labelled)
    for call in (lambda: carry_over("zeros", 0), lambda: with_head("ones", labelled, 0), lambda: frozen_probe("x", 0)):
        with pytest.raises(ValueError, match="is not a strategy for"):
            call()


def made_up():
    return [
        StrategyTrial("head", name, seed, 10.0 + seed, 80.0 + 2 * i + seed, 1.0, 1290)
        for i, name in enumerate(HEADS)
        for seed in (2, 0, 1)
    ]


def test_summaries_are_paired_by_seed():
    trials = made_up()
    assert strategy_scores(trials, "head", "Kaiming") == [82, 83, 84]
    assert strategy_scores(trials, "head", "Kaiming", "before") == [10, 11, 12]
    assert strategy_scores(trials, "carried", "Kaiming") == []
    assert strategy_summary(trials, "head")["class means"].mean == 85
    gain = strategy_gain(trials, "head", "class means", "zeros")
    assert (gain.mean, gain.low, gain.high) == (4, 4, 4)
    assert strategy_table(trials, "head")[0] == ["zeros", "11.0", "81.0 [80.0, 82.0]", "1,290"]
    assert len(strategy_table(trials, "head")[0]) == len(STRATEGY_HEADER)


def test_what_ships_covers_every_strategy():
    trials = read_strategies()
    assert {(t.question, t.strategy) for t in trials} == {(q, s) for q, names in QUESTIONS.items() for s in names}
    assert all(len(strategy_scores(trials, q, s)) == 10 for q, names in QUESTIONS.items() for s in names)
    assert STRATEGY_CURVE.stat().st_size < 15_000


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
