"""What notebook 02 says about its own numbers, measured over several seeds; nothing was chosen on the test half.

Numbers in its prose come from here or from the tables that ship with the course, held against fresh runs below.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from agreement import FRESH_SEEDS, within_seeds

from tlcourse.data.normalisation import scale
from tlcourse.data.worlds import load, train_test
from tlcourse.evaluation.intervals import paired_difference
from tlcourse.evaluation.predict import accuracy
from tlcourse.lessons.nb02_weight_transfer.layer_transfer import BASE, DEPTHS, drops, run_layer_transfer
from tlcourse.lessons.nb02_weight_transfer.strategies import carry_over, take_steps, trial, with_head
from tlcourse.models.pretrained import build, pretrained
from tlcourse.notebook.results import as_dict, grid, paired, results
from tlcourse.training.checkpoint import copy_weights
from tlcourse.transfer.freezing import count_parameters, trainable
from tlcourse.transfer.weights import load_weights, weights_moved

STRATEGY_SEEDS = range(5)
STEPS_UP = ("random", "letters, first stage", *(f"letters, first {k} stages" for k in (2, 3, 4)))
FULL = "letters, all but the head"


@pytest.fixture(scope="module")
def strategies_shipped():
    return results("transfer_strategies")


@pytest.fixture(scope="module")
def layers_shipped():
    return results("layer_transfer")


@pytest.fixture(scope="module")
def strategies_fresh():
    """Two strategies with five seeds, computed now: ten trainings with their networks."""
    names = {"carried": "random", "batchnorm": "frozen, statistics kept"}

    def one(question, seed):
        return {"strategy": names[question]} | trial(question, names[question], seed)

    return grid(one, question=names, seed=STRATEGY_SEEDS, progress=False)


def scores(trials, question, strategy, what="accuracy"):
    """One strategy's values, ordered by seed."""
    chosen = trials[(trials["question"] == question) & (trials["strategy"] == strategy)]
    return chosen.sort_values("seed")[what].tolist()


def gain(trials, question, ours, baseline):
    return as_dict(paired(trials, "accuracy", "strategy", ours, baseline, by="question"))[question]


@pytest.mark.parametrize(("question", "strategy"), [("carried", "random"), ("batchnorm", "frozen, statistics kept")])
def test_shipped_strategies_agree_with_a_fresh_run(strategies_fresh, strategies_shipped, question, strategy):
    fresh, shipped = (scores(trials, question, strategy) for trials in (strategies_fresh, strategies_shipped))
    assert within_seeds(fresh, shipped)
    if question == "batchnorm":  # only a head is trained, so another processor changes little
        assert np.mean(fresh) == pytest.approx(np.mean(shipped[: len(fresh)]), abs=2.5)


@pytest.mark.parametrize(
    ("more", "less", "points"),
    [(*names, points) for *names, points in zip((*STEPS_UP[1:], FULL), STEPS_UP, (7, 13, 9, 4, 2), strict=True)],
)
def test_every_stage_is_worth_something(strategies_shipped, more, less, points):
    interval = gain(strategies_shipped, "carried", more, less)
    assert interval.low > 0
    assert interval.mean == pytest.approx(points, abs=0.6)


def test_the_first_two_stages_are_small_and_bring_more_than_half(strategies_shipped):
    two = gain(strategies_shipped, "carried", "letters, first 2 stages", "random").mean
    assert two > gain(strategies_shipped, "carried", FULL, "random").mean / 2
    model = build("tiny_resnet")
    small = count_parameters([*model.stem.parameters(), *model.block1.parameters()])
    assert small / count_parameters(list(model.parameters())) == pytest.approx(0.02, abs=0.005)


def test_the_head_that_came_along_brings_nothing_in_the_end(strategies_shipped):
    for baseline in ("digits, all but the head", FULL):
        interval = gain(strategies_shipped, "carried", "digits, everything", baseline)
        assert interval.low < 0 < interval.high
        assert abs(interval.mean) < 1
    before = scores(strategies_shipped, "carried", "digits, everything", "before")
    assert np.mean(before) == pytest.approx(72, abs=1)


def test_class_means_read_three_quarters_without_training(strategies_shipped):
    training_half, test = train_test("handwritten-photo")
    shipped = scores(strategies_shipped, "head", "class means", "before")
    few = [training_half.few(5, seed) for seed in STRATEGY_SEEDS]
    fresh = [accuracy(with_head("class means", images, 0), test) for images in few]
    assert np.mean(shipped) == pytest.approx(74, abs=1)
    assert fresh == pytest.approx(shipped[: len(STRATEGY_SEEDS)], abs=0.5)
    digits_head = scores(strategies_shipped, "carried", "digits, everything", "before")
    assert paired_difference(shipped, digits_head).low > 0
    for guessing in ("zeros", "Kaiming"):
        before = scores(strategies_shipped, "head", guessing, "before")
        assert np.mean(before) == pytest.approx(10, abs=2)


def test_class_means_end_a_little_above_zeros_and_kaiming_but_level_with_the_default(strategies_shipped):
    for other in ("zeros", "Kaiming"):
        interval = gain(strategies_shipped, "head", "class means", other)
        assert interval.low > 0
        assert interval.mean == pytest.approx(1.5, abs=0.5)
    ours = scores(strategies_shipped, "head", "class means")
    interval = paired_difference(ours, scores(strategies_shipped, "carried", FULL))
    assert interval.low < 0 < interval.high


def test_adapting_statistics_costs_a_point_or_two(strategies_shipped):
    pair = "frozen, statistics adapted", "frozen, statistics kept"
    interval = gain(strategies_shipped, "batchnorm", *pair)
    assert interval.high < 0
    assert -2 <= interval.mean <= -1


def layer_scores(trials, way, depth):
    return trials[(trials["way"] == way) & (trials["depth"] == depth)].sort_values("seed")["accuracy"].tolist()


def test_shipped_layers_agree_with_a_fresh_run(layers_shipped):
    fresh = run_layer_transfer(FRESH_SEEDS, ways=["other, frozen"], depths=[5], progress=False)
    for cell in ((BASE, 0), ("other, frozen", 5)):
        assert within_seeds(layer_scores(fresh, *cell), layer_scores(layers_shipped, *cell)), cell


def between(trials, ours, baseline):
    """The difference of two ways at every depth."""
    return list(as_dict(paired(trials, "accuracy", "way", ours, baseline, by="depth")).values())


def test_specificity_comes_with_the_last_stage(layers_shipped):
    gaps = between(layers_shipped, "other, frozen", "own, frozen")
    assert all(-3 <= gap.mean <= -1 for gap in gaps[:4])
    assert gaps[4].mean == pytest.approx(-15, abs=1)
    assert gaps[4].high < min(gap.low for gap in gaps[:4])


def test_co_adaptation_is_not_seen(layers_shipped):
    lost = as_dict(drops(layers_shipped))
    own = [lost["own, frozen", depth] for depth in DEPTHS]
    assert all(interval.mean > 0 for interval in own)
    assert all(interval.low > 0 for interval in own[:4])
    assert np.mean([interval.mean for interval in own[:4]]) == pytest.approx(1, abs=0.5)


def test_fine_tuning_mends_everything(layers_shipped):
    lost = as_dict(drops(layers_shipped))
    for depth in DEPTHS[2:]:
        assert lost["own, fine-tuned", depth].low > 0
        assert lost["other, fine-tuned", depth].low > 0


def test_the_other_task_gains_no_more_than_longer_training(layers_shipped):
    assert all(gap.mean <= 0 for gap in between(layers_shipped, "other, fine-tuned", "own, fine-tuned"))


def test_random_filters_hardly_change(strategies_fresh):
    for row in strategies_fresh.itertuples():
        if row.question == "carried":
            before = carry_over("random", row.seed).stem[0].weight.flatten(1)
            assert F.cosine_similarity(before, row.model.stem[0].weight.cpu().flatten(1)).mean() > 0.95


def test_statistics_that_move_make_several_times_as_many_mistakes_in_the_old_task():
    """The first trap, with five choices of labelled digits."""
    letters = load("printed-photo", "letters", "test", count=500)
    errors = 100 - accuracy(pretrained("tiny_resnet", "letters"), letters)
    for seed in STRATEGY_SEEDS:
        model, damaged = carry_over(FULL, seed), pretrained("tiny_resnet", "letters")
        for stage in model.stages().values():
            stage.requires_grad_(False)
        few, before = load("handwritten-photo").few(5, seed), copy_weights(model)
        optimizer = torch.optim.SGD(trainable(model), lr=0.05)
        take_steps(model, scale(few.images), few.labels, optimizer, 30, plain_train=True)
        moved = weights_moved(before, model.state_dict()).moved
        assert not [name for name, _ in model.named_parameters() if name in moved and not name.startswith("head.")]
        load_weights(damaged, model.state_dict(), skip=["head."])
        assert 100 - accuracy(damaged, letters) > 2 * errors
