"""What notebook 02 says about its own numbers, measured over several seeds; nothing was chosen on the test pool.

Numbers in its prose come from here or from the tables that ship with the course, held against fresh runs below.
"""

import numpy as np
import pytest
import torch
from agreement import FRESH_SEEDS, within_seeds

from tlcourse.data.normalisation import scale
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import accuracy
from tlcourse.lessons.nb02_weight_transfer.layer_transfer import (
    BASE,
    LONG,
    SHORT,
    mean_specificity,
    run_layer_transfer,
    specificity,
)
from tlcourse.lessons.nb02_weight_transfer.strategies import (
    CLASS_MEANS,
    carry_over,
    frozen_trial,
    take_steps,
    transfer_strategies,
)
from tlcourse.models.pretrained import build, pretrained
from tlcourse.notebook.results import grid, paired, results
from tlcourse.training.checkpoint import copy_weights
from tlcourse.training.recipe import CONVERGED, Recipe
from tlcourse.transfer.freezing import count_parameters, trainable
from tlcourse.transfer.weights import load_weights, weights_moved

BUDGETS = {"short": Recipe().updates, "long": CONVERGED.updates}
LETTERS = "letters, all but the head"


@pytest.fixture(scope="module")
def strategies():
    return results("transfer_strategies")


@pytest.fixture(scope="module")
def layers():
    return results("layer_transfer")


def scores(trials, strategy, updates, what="accuracy"):
    """One strategy's values, ordered by seed."""
    chosen = trials[(trials["strategy"] == strategy) & (trials["updates"] == updates)]
    return chosen.sort_values("seed")[what].tolist()


def gain(trials, ours, baseline, updates):
    """What one strategy ends above another, seed by seed, with the verdict."""
    rows = trials[trials["updates"] == updates]
    return paired(rows, "accuracy", "strategy", ours, baseline).iloc[0]


@pytest.mark.parametrize("strategy", ["random", CLASS_MEANS])
def test_shipped_strategies_agree_with_a_fresh_run(strategies, strategy):
    """Short trainings only: the long ones are the same code with more updates."""
    fresh = transfer_strategies(FRESH_SEEDS, [strategy], [Recipe()], progress=False)
    assert within_seeds(fresh["accuracy"].tolist(), scores(strategies, strategy, BUDGETS["short"]))
    before = scores(strategies, strategy, BUDGETS["short"], "before")
    assert fresh["before"].tolist() == pytest.approx(before[: len(fresh)], abs=1)


def test_the_first_two_stages_are_small_and_bring_16_of_26_points(strategies):
    two = gain(strategies, "letters, first 2 stages", "random", BUDGETS["long"])
    rest = gain(strategies, LETTERS, "letters, first 2 stages", BUDGETS["long"])
    assert two["verdict"] == rest["verdict"] == "higher"
    assert two["mean"] == pytest.approx(16, abs=0.5)
    assert two["mean"] + rest["mean"] == pytest.approx(26, abs=0.5)
    model = build("tiny_resnet")
    small = count_parameters([*model.stem.parameters(), *model.block1.parameters()])
    assert small / count_parameters(list(model.parameters())) == pytest.approx(0.02, abs=0.005)


def test_more_updates_lift_what_carries_little_and_are_open_for_the_others(strategies):
    lifted = paired(strategies, "accuracy", "updates", *reversed(BUDGETS.values()), by="strategy").set_index("strategy")
    assert lifted["mean"].tolist()[:2] == pytest.approx([8, 4], abs=0.5)
    assert lifted["verdict"].tolist() == ["higher", "higher", "open", "open", "open"]


@pytest.mark.parametrize(("strategy", "verdict"), [("digits, everything", "higher"), (CLASS_MEANS, "open")])
def test_what_reads_three_quarters_at_once_ends_little_higher(strategies, strategy, verdict):
    assert np.mean(scores(strategies, strategy, BUDGETS["long"], "before")) == pytest.approx(76, abs=0.5)
    soon, late = (gain(strategies, strategy, LETTERS, updates) for updates in BUDGETS.values())
    assert (soon["verdict"], late["verdict"]) == ("open", verdict)
    if verdict == "higher":
        assert (late["mean"], late["low"], late["high"]) == pytest.approx((1.7, 0.4, 3.1), abs=0.06)


def test_adapting_statistics_costs_a_frozen_backbone_about_three_points_whatever_they_are_measured_on():
    axes = {"from_all": [False, True], "batchnorm": ["keep", "adapt"], "seed": range(10)}
    trials = grid(frozen_trial, progress=False, **axes)
    gaps = paired(trials, "accuracy", "batchnorm", "adapt", "keep", by="from_all")
    assert gaps["verdict"].tolist() == ["lower", "lower"]
    assert gaps["mean"].tolist() == pytest.approx([-3, -2.6], abs=0.7)


def layer_scores(trials, way, depth, updates):
    chosen = trials[(trials["way"] == way) & (trials["depth"] == depth) & (trials["updates"] == updates)]
    return chosen.sort_values("seed")["accuracy"].tolist()


def test_shipped_layers_agree_with_a_fresh_run(layers):
    fresh = run_layer_transfer(FRESH_SEEDS, ways=["other, frozen"], depths=[5], progress=False)
    for cell in ((BASE, 0, SHORT.updates), ("other, frozen", 5, SHORT.updates)):
        assert within_seeds(layer_scores(fresh, *cell), layer_scores(layers, *cell)), cell


def test_specificity_is_clear_for_one_stage_for_four_and_for_five_and_open_between(layers):
    gaps = specificity(layers).set_index("depth")
    assert gaps["verdict"].tolist() == ["lower", "open", "open", "lower", "lower"]
    assert gaps["mean"].tolist() == pytest.approx([-1.4, -1.0, -1.0, -1.9, -14.5], abs=0.06)
    for depth, ends in {4: (-3.7, -0.2), 5: (-16.8, -12.2)}.items():
        assert (gaps["low"][depth], gaps["high"][depth]) == pytest.approx(ends, abs=0.06)


def test_of_two_seeds_trained_longer_only_the_loss_with_all_five_stages_stands(layers):
    long = layers[layers["updates"] == LONG.updates]
    assert mean_specificity(long).set_index("depth")["points"][5] == pytest.approx(-11.5, abs=0.06)
    first_stage = [mean_specificity(rows)["points"][0] for _, rows in long.groupby("seed")]
    assert first_stage == pytest.approx([0.4, -1.2], abs=0.06)


def test_frozen_stages_end_below_fine_tuned_ones_of_the_own_task_from_three_stages_on(layers):
    short = layers[layers["updates"] == SHORT.updates]
    lost = paired(short, "accuracy", "way", "own, frozen", "own, fine-tuned", by="depth")
    assert lost["verdict"].tolist() == ["open", "open", "lower", "lower", "lower"]
    assert lost["mean"].tolist()[2:] == pytest.approx([-1.4, -2.1, -3.1], abs=0.06)


def test_fine_tuning_mends_all_five_stages_of_another_task(layers):
    short = layers[(layers["updates"] == SHORT.updates) & layers["depth"].isin([0, 5])].assign(depth=5)
    for way, points in (("own, fine-tuned", 3.4), ("other, fine-tuned", 3.0)):
        above = paired(short, "accuracy", "way", way, BASE).iloc[0]
        assert above["verdict"] == "higher"
        assert above["mean"] == pytest.approx(points, abs=0.06)


def test_of_fine_tuned_stages_of_another_task_only_one_alone_ends_barely_lower(layers):
    short = layers[layers["updates"] == SHORT.updates]
    gaps = paired(short, "accuracy", "way", "other, fine-tuned", "own, fine-tuned", by="depth")
    assert gaps["verdict"].tolist() == ["lower", "open", "open", "open", "open"]
    assert (gaps["mean"][0], gaps["low"][0], gaps["high"][0]) == pytest.approx((-0.9, -1.8, -0.04), abs=0.06)


def test_statistics_that_move_make_several_times_as_many_mistakes_in_the_old_task():
    """The first trap, with five choices of labelled digits."""
    letters = load("printed-photo", "letters", "test", count=500)
    errors = 100 - accuracy(pretrained("tiny_resnet", "letters"), letters)
    for seed in range(5):
        model, damaged = carry_over(LETTERS, seed), pretrained("tiny_resnet", "letters")
        for stage in model.stages().values():
            stage.requires_grad_(False)
        few, before = load("handwritten-photo").few(5, seed), copy_weights(model)
        optimizer = torch.optim.SGD(trainable(model), lr=0.05)
        take_steps(model, scale(few.images), few.labels, optimizer, 30, plain_train=True)
        moved = weights_moved(before, model.state_dict()).moved
        assert not [name for name, _ in model.named_parameters() if name in moved and not name.startswith("head.")]
        load_weights(damaged, model.state_dict(), skip=["head."])
        assert 100 - accuracy(damaged, letters) > 2 * errors
