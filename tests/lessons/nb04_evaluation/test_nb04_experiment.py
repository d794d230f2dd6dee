"""The experiments of notebook 04: who is judged, how the best is chosen, and what is measured of it."""

import math

import numpy as np
import pytest
import torch

from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import accuracy, predict
from tlcourse.lessons.nb04_evaluation.experiment import (
    COMPARED,
    IN_THE_LAB,
    NETWORKS,
    SOURCES,
    answers_trial,
    hits_of,
    measure,
    old_task_accuracy,
    sources_of_variance,
    train_network,
    train_validation_test,
)
from tlcourse.lessons.nb04_evaluation.selecting import choose_often, half_features, probe_accuracy, selection_trial
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.results import results
from tlcourse.training.recipe import Recipe
from tlcourse.transfer.heads import reset_classifier

QUICK = Recipe(epochs=2, steps=1, batch=10)


@pytest.fixture(scope="module")
def parts():
    return train_validation_test()


def test_the_piles_share_neither_sheets_nor_images(parts):
    pool, validation, test = parts
    sheets = [set(pile.attributes["sheet"].tolist()) for pile in parts]
    assert sheets == [{0, 1, 2, 3, 4}, {5, 6}, {7, 8, 9, 10, 11, 12, 13}]
    assert [len(pile) for pile in parts] == [646, 260, 891]
    assert test.shared_with(pool) + test.shared_with(validation) + validation.shared_with(pool) == 0


def test_a_network_answers_every_image(parts):
    pool, _, test = parts
    few = test.subset(torch.arange(30))
    row = answers_trial("digits", 1, pool=pool, test=few, per_class=1, recipe=QUICK)
    _, model = train_network("digits", 1, pool.few(1, 1), recipe=QUICK)
    assert row["answers"] == "".join(map(str, predict(model, few).argmax(1).tolist()))
    assert row["accuracy"] == pytest.approx(accuracy(model, few))


def test_the_sources_differ_in_what_they_learned_only():
    assert {NETWORKS[name] for name in SOURCES} == {("fine-tuned", name) for name in SOURCES}
    assert {NETWORKS[f"{name} probe"] for name in SOURCES} == {("linear probe", name) for name in SOURCES}


def test_no_such_network(parts):
    with pytest.raises(ValueError, match=r"no network 'cats'\. Expected one of: 'scratch', 'letters'"):
        train_network("cats", 0, parts[0])


def test_watching_changes_nothing(parts):
    pool, validation, _ = parts
    labelled, few = pool.few(1, seed=0), validation.subset(torch.arange(20))
    history, watched = train_network("letters", 0, labelled, few, QUICK)
    _, plain = train_network("letters", 0, labelled, recipe=QUICK)
    pairs = zip(plain.state_dict().values(), watched.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert len(history.validation_accuracy) == 2
    assert history.validation_accuracy[-1] == pytest.approx(accuracy(watched, few))


def test_what_does_not_move_forgets_nothing():
    model = pretrained("tiny_resnet", "letters")
    reset_classifier(model, 10)
    before, after = old_task_accuracy(model, "letters", count=100)
    assert before == after > 80
    with torch.no_grad():
        model.head.weight.zero_()  # only the head changes
    assert old_task_accuracy(model, "letters", count=100) == (before, before)
    with torch.no_grad():
        model.block4.conv2.weight.normal_(generator=torch.Generator().manual_seed(0))
    assert old_task_accuracy(model, "letters", count=100)[1] < before - 20
    assert model.head.out_features == 10


def test_a_network_is_measured_from_several_sides(parts):
    pool, validation, test = parts
    trained = train_network("letters probe", 0, pool.few(1, 0), validation, QUICK)
    row = measure("letters probe", trained, validation, test)
    assert row["forgotten"] == 0  # its backbone does not move
    assert row["accuracy"] == accuracy(trained[1], test)
    assert [float(percent) for percent in row["curve"].split()] == pytest.approx(
        trained[0].validation_accuracy, abs=0.01
    )
    assert 0 < row["error_after"] < row["error_before"]
    assert math.isnan(measure("scratch", trained, validation, test)["forgotten"])


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


def test_the_winner_flatters_and_untouched_images_do_not():
    hits = torch.rand(30, 600, generator=torch.Generator().manual_seed(0)) < 0.8
    many, few = choose_often(hits, 30, experiments=200), choose_often(hits, 500, experiments=200)
    assert many.optimism > 8
    assert many.untouched.mean() == pytest.approx(80, abs=1.5)
    assert 0 < few.optimism < many.optimism / 2
    assert choose_often(hits, 30, candidates=1).optimism == pytest.approx(0, abs=1)
    assert torch.equal(choose_often(hits, 30, seed=4).shown, choose_often(hits, 30, seed=4).shown)


def test_scores_are_taken_on_the_two_parts():
    hits = torch.zeros(2, 10, dtype=torch.bool)
    hits[1] = True
    choices = choose_often(hits, 3, experiments=5)
    assert choices.shown.tolist() == choices.untouched.tolist() == [100.0] * 5
    assert choose_often(torch.eye(10, dtype=torch.bool), 9, experiments=50).untouched.max() == 0  # the hit is used up


@pytest.mark.parametrize(("images", "candidates"), [(0, 2), (10, 2), (3, 0), (3, 3)])
def test_choosing_needs_something_left(images, candidates):
    with pytest.raises(ValueError, match="so that some stay untouched"):
        choose_often(torch.ones(2, 10, dtype=torch.bool), images, candidates)


def test_probe_agrees_with_ridge_regression():
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    draws = torch.Generator().manual_seed(0)
    labels = torch.arange(4).repeat(30)
    features = torch.randn(120, 12, generator=draws) + 1.5 * torch.nn.functional.one_hot(labels, 12)
    learn, new, columns = torch.arange(40), torch.arange(40, 120), torch.tensor([0, 1, 2, 3, 7, 9])
    x = features[:, columns].double().numpy()
    scaler = StandardScaler().fit(x[:40])
    ridge = Ridge(alpha=6 * 40 / 39).fit(scaler.transform(x[:40]), np.eye(4)[labels[:40]])  # ddof 0 against 1
    expected = (ridge.predict(scaler.transform(x[40:])).argmax(1) == labels[40:].numpy()).mean()
    assert probe_accuracy(features, labels, columns, learn, new) == pytest.approx(100 * expected)


def test_a_probe_learns_what_is_there_and_nothing_else():
    labels = torch.arange(4).repeat(30)
    noise = torch.randn(120, 16, generator=torch.Generator().manual_seed(0))
    told = noise.clone()
    told[:, :4] += 9 * torch.nn.functional.one_hot(labels, 4)
    learn, new = torch.arange(60), torch.arange(60, 120)
    assert probe_accuracy(told, labels, torch.arange(4), learn, new) == 100
    assert probe_accuracy(told, labels, torch.arange(4, 16), learn, new) < 50


def test_half_features():
    probes = half_features(5, 20)
    assert [len(set(p.tolist())) for p in probes] == [10] * 5
    assert len({tuple(p.tolist()) for p in probes}) == 5


def test_the_score_of_the_best_of_many_promises_too_much():
    draws = torch.Generator().manual_seed(0)
    labels = torch.arange(10).repeat(20)
    features = torch.randn(200, 20, generator=draws)  # says nothing about the labels
    rows = [selection_trial(seed, features, labels, candidates=12) for seed in range(3)]
    truth, promised, nested = (np.mean([row[name] for row in rows]) for name in ("truth", "promised", "nested"))
    assert truth == pytest.approx(10, abs=4)
    assert promised > 14
    assert promised > nested
    assert selection_trial(1, features, labels, candidates=12) == rows[1]


@pytest.mark.parametrize(
    ("table", "networks", "seeds"),
    [("source_answers", SOURCES, 20), ("challenger_answers", IN_THE_LAB, 20), ("judged", COMPARED, 10)],
)
def test_shipped_tables_have_every_seed(table, networks, seeds):
    rows = results(table)
    assert [*zip(rows["network"], rows["seed"], strict=True)] == [(n, seed) for seed in range(seeds) for n in networks]


@pytest.mark.parametrize("table", ["source_answers", "challenger_answers"])
def test_shipped_accuracies_are_those_of_the_answers(table):
    rows = results(table)
    hits = hits_of(rows, load("handwritten-photo", split="test").labels)
    assert list(hits) == rows["network"].unique().tolist()
    for name, read in hits.items():
        said = rows[rows["network"] == name]["accuracy"]
        assert (100 * read.double().mean(1)).tolist() == pytest.approx(said.tolist(), abs=1e-3)
    backwards = hits_of(rows[::-1], load("handwritten-photo", split="test").labels)
    assert all(torch.equal(backwards[name], hits[name]) for name in hits)  # in order of the seeds
