"""The experiments of notebook 04: who is evaluated, how the best is chosen, and what is measured of it."""

import math

import numpy as np
import pytest
import torch

from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import accuracy, predict
from tlcourse.lessons.nb04_evaluation.experiment import (
    TRAINED,
    answer,
    curves_of,
    hits_of,
    measure,
    old_task_accuracy,
    sources_of_variance,
    train_network,
    train_validation_test,
)
from tlcourse.lessons.nb04_evaluation.saliency_check import cover_what_matters
from tlcourse.lessons.nb04_evaluation.selecting import choose_often, probe_accuracy, selection_trial
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.results import results
from tlcourse.training.recipe import Recipe
from tlcourse.transfer.heads import reset_classifier

QUICK = Recipe(epochs=2, steps=1, batch=10)


@pytest.fixture(scope="module")
def piles():
    return train_validation_test()


@pytest.fixture(scope="module")
def small(piles):
    """A few images of each pile: 50 to learn from, 20 to choose with, 30 to be tested on."""
    practice, validation, test = piles
    return practice.few(5, 1), validation.subset(torch.arange(20)), test.subset(torch.arange(30))


def test_the_piles_share_neither_sheets_nor_images(piles):
    practice, validation, test = piles
    sheets = [set(pile.attributes["sheet"].tolist()) for pile in piles]
    assert sheets == [{0, 1, 2, 3, 4}, {5, 6}, {7, 8, 9, 10}]
    assert [len(pile) for pile in piles] == [646, 260, 509]
    assert test.shared_with(practice) + test.shared_with(validation) + validation.shared_with(practice) == 0


@pytest.mark.parametrize("network", ["letters", "digits probe"])
def test_a_network_answers_every_image(small, network):
    practice, _, test = small
    row = answer(network, 1, piles=small, recipe=QUICK)
    model, curve = train_network(network, 1, practice.few(5, 1), recipe=QUICK)
    assert row["answers"] == "".join(map(str, predict(model, test).argmax(1).tolist()))
    assert row["accuracy"] == pytest.approx(accuracy(model, test))
    assert row.get("updates") == (2 if network == "letters" else None)  # a probe is solved, so nothing was spent
    assert curve == []


@pytest.mark.parametrize("network", ["scratch", "letters"])
def test_a_network_is_measured_from_several_sides(small, network):
    practice, validation, test = small
    model, curve = train_network(network, 0, practice, validation, QUICK)
    plain, _ = train_network(network, 0, practice, recipe=QUICK)  # not watched, which changes nothing
    assert torch.equal(predict(model, test), predict(plain, test))
    row = measure(network, model, curve, validation, test)
    assert row["accuracy"] == pytest.approx(accuracy(model, test))
    assert [float(percent) for percent in row["curve"].split()] == pytest.approx(curve, abs=0.06)
    assert len(curve) == 2
    assert curve[-1] == pytest.approx(accuracy(model, validation))
    assert math.isnan(row["forgotten"]) == (network == "scratch")


def test_what_does_not_move_forgets_nothing():
    model = pretrained("tiny_resnet", "letters")
    reset_classifier(model, 10)
    before, after = old_task_accuracy(model, "letters", count=100)
    assert before == after > 80
    with torch.no_grad():
        model.block4.conv2.weight.normal_(generator=torch.Generator().manual_seed(0))
    assert old_task_accuracy(model, "letters", count=100)[1] < before - 20
    assert model.head.out_features == 10


def test_variance_is_found_where_it_was_put():
    draws = torch.Generator().manual_seed(0)
    sheets = torch.arange(10).repeat_interleave(40)
    even = torch.rand(8, 400, generator=draws) < 0.7
    found = sources_of_variance(even, sheets)
    assert found["test sheets"] == pytest.approx(found["test images"], rel=0.35)
    hard = torch.rand(8, 400, generator=draws) < torch.linspace(0.3, 1, 10).repeat_interleave(40)
    assert sources_of_variance(hard, sheets)["test sheets"] > 2.5 * found["test sheets"]
    uneven = torch.rand(8, 400, generator=draws) < torch.linspace(0.4, 1, 8)[:, None]
    assert sources_of_variance(uneven, sheets)["training (seed)"] > 5 * found["training (seed)"]
    percent = 100 * even.double().numpy()
    assert found["training (seed)"] == pytest.approx(percent.mean(1).std(ddof=1))
    assert found["test images"] == pytest.approx(np.mean(percent.std(1, ddof=1) / 20))
    with pytest.raises(ValueError, match="got hits of 1 network"):
        sources_of_variance(even[:1], sheets)


def test_the_winner_is_too_good_and_untouched_images_say_so():
    hits = torch.rand(30, 600, generator=torch.Generator().manual_seed(0)) < 0.8
    many, few = choose_often(hits, 30), choose_often(hits, 500)
    assert many.optimism > 8
    assert many.untouched.mean() == pytest.approx(80, abs=1.5)
    assert 0 < few.optimism < many.optimism / 2
    assert choose_often(hits[:1], 30).optimism == pytest.approx(0, abs=1)
    assert torch.equal(choose_often(hits, 30).shown, many.shown)
    assert choose_often(torch.eye(10, dtype=torch.bool), 9).untouched.max() == 0  # the hit is used up
    with pytest.raises(ValueError, match="so that some of 600 stay untouched"):
        choose_often(hits, 600)


def test_the_probe_is_that_of_scikit_learn_and_learns_what_is_there_and_nothing_else():
    from sklearn.linear_model import LogisticRegression

    labels, draws = torch.arange(4).repeat(30), torch.Generator().manual_seed(0)
    features = torch.randn(120, 16, generator=draws)
    features[:, :4] += 1.5 * torch.nn.functional.one_hot(labels, 4)
    learn, new, told = torch.arange(60), torch.arange(60, 120), torch.tensor([0, 1, 2, 3, 9])
    x, y = features[:, told].numpy(), labels.numpy()
    theirs = LogisticRegression(C=1 / 5).fit(x[:60], y[:60]).score(x[60:], y[60:])
    assert probe_accuracy(features, labels, told, learn, new) == pytest.approx(100 * theirs)
    assert probe_accuracy(features, labels, torch.arange(4, 16), learn, new) < 50 < 100 * theirs


def test_the_score_of_the_best_of_many_promises_too_much():
    labels = torch.arange(10).repeat(20)
    features = torch.randn(200, 20, generator=torch.Generator().manual_seed(0))  # says nothing about the labels
    rows = [selection_trial(seed, features, labels, candidates=8) for seed in range(3)]
    truth, promised, nested = (np.mean([row[name] for row in rows]) for name in ("truth", "promised", "nested"))
    assert truth == pytest.approx(10, abs=4)
    assert promised > max(12, nested)


def test_a_map_is_tested_on_images_that_the_network_reads():
    data = load("printed-photo", "letters", "test", count=60)
    rows = cover_what_matters(pretrained("tiny_resnet", "letters"), data, count=10)
    assert (rows["n"] == 10).all()
    assert rows["covered by"].str.startswith("blind").sum() == 3
    still = rows.set_index("covered by")["mean"]
    assert still["occlusion"] < still["blind: random pixels"]


# the shipped tables


def test_shipped_accuracies_are_those_of_the_shipped_answers():
    rows = results("short_answers")
    hits = hits_of(rows[::-1], load("handwritten-photo", split="test").labels)  # in order of the seeds all the same
    for name, read in hits.items():
        said = rows[rows["network"] == name]["accuracy"]
        assert (100 * read.double().mean(1)).tolist() == pytest.approx(said.tolist(), abs=1e-3)


def test_curves_count_updates_and_aim_at_what_scratch_reaches_with_the_same_seed():
    curves = curves_of(results("evaluated"))
    assert set(curves["network"]) == set(TRAINED)
    one = curves[(curves["network"] == "scratch") & (curves["seed"] == 3)]
    assert [one["updates"].iloc[0], one["updates"].iloc[-1]] == [10, 600]
    assert one["goal"].nunique() == 1
    assert one["goal"].iloc[0] == one["accuracy on validation (%)"].iloc[-1]
    assert curves.groupby("seed")["goal"].nunique().max() == 1
