"""The experiments of notebook 04: who is judged, how the best is chosen, and what is measured of it."""

import math

import numpy as np
import pytest
import torch

from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import accuracy, predict
from tlcourse.lessons.nb04_evaluation.experiment import (
    CONTESTANTS,
    RIVALS,
    Answers,
    answer_table,
    read_answers,
    sources_of_luck,
    three_piles,
    train_contestant,
)
from tlcourse.lessons.nb04_evaluation.judging import (
    Judged,
    column,
    forgotten,
    old_task_accuracy,
    read_judged,
    train_and_watch,
)
from tlcourse.lessons.nb04_evaluation.selecting import (
    choose_often,
    half_features,
    probe_accuracy,
    promise,
    read_promises,
)
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.rows import save_rows
from tlcourse.training.recipe import Recipe
from tlcourse.training.starts import starting_model
from tlcourse.training.trials import train_on_target
from tlcourse.transfer.freezing import freeze
from tlcourse.transfer.heads import reset_classifier

QUICK = Recipe(epochs=2, steps=1, batch=10)


@pytest.fixture(scope="module")
def piles():
    return three_piles()


def test_the_piles_share_neither_sheets_nor_images(piles):
    practice, validation, test = piles
    sheets = [set(pile.attributes["sheet"].tolist()) for pile in piles]
    assert sheets == [{0, 1, 2, 3, 4}, {5, 6}, {7, 8, 9, 10, 11, 12, 13}]
    assert [len(pile) for pile in piles] == [646, 260, 891]
    assert test.shared_with(practice) + test.shared_with(validation) + validation.shared_with(practice) == 0


def test_a_contestant_answers_every_image(piles):
    practice, _, test = piles
    few = test.subset(torch.arange(30))
    answers, model = train_contestant("digits", 1, practice, few, 1, QUICK)
    assert answers.answers == "".join(map(str, predict(model, few).argmax(1).tolist()))
    assert answers.accuracy == pytest.approx(accuracy(model, few))
    assert (answers.network, answers.seed) == ("digits", 1)


def test_rivals_differ_in_their_source_only(piles):
    assert CONTESTANTS["letters"][0] == CONTESTANTS["digits"][0] == "fine-tuned"
    assert [CONTESTANTS[name][1] for name in RIVALS] == list(RIVALS)
    assert CONTESTANTS["scratch"][0] == "scratch"


@pytest.mark.parametrize("function", [train_contestant, train_and_watch])
def test_no_such_contestant(function, piles):
    with pytest.raises(ValueError, match=r"'cats' is not a contestant\. Expected one of: 'scratch', 'letters'"):
        function("cats", 0, piles[0], piles[1])


def test_answers_go_through_a_file(tmp_path):
    rows = [
        Answers("letters", 1, 50.0, "0921"),
        Answers("letters", 0, 25.0, "0000"),
        Answers("digits", 0, 25.0, "1111"),
    ]
    back = read_answers(save_rows(tmp_path / "answers.csv", rows))
    assert back == rows
    assert answer_table(back, "letters").tolist() == [[0, 0, 0, 0], [0, 9, 2, 1]]  # in order of the seeds


def test_watching_changes_nothing(piles):
    practice, validation, _ = piles
    labelled = practice.few(1, seed=0)
    history, watched = train_and_watch("letters", 0, labelled, validation.subset(torch.arange(20)), QUICK)
    plain = starting_model("fine-tuned", 0)
    train_on_target(plain, labelled, 0, QUICK)
    assert all(
        torch.equal(a, b) for a, b in zip(plain.state_dict().values(), watched.state_dict().values(), strict=True)
    )
    assert len(history.validation_accuracy) == 2
    assert history.validation_accuracy[-1] == pytest.approx(accuracy(watched, validation.subset(torch.arange(20))))


def test_what_does_not_move_forgets_nothing():
    source, old = pretrained("tiny_resnet", "letters"), load("printed-photo", "letters", "test", count=100)
    before = accuracy(source, old)
    model = pretrained("tiny_resnet", "letters")
    reset_classifier(model, 10)
    assert old_task_accuracy(model, source, old) == before
    with torch.no_grad():
        model.head.weight.zero_()  # only the head changes
    assert old_task_accuracy(model, source, old) == before
    with torch.no_grad():
        model.block4.conv2.weight.normal_(generator=torch.Generator().manual_seed(0))
    assert old_task_accuracy(model, source, old) < before - 20
    assert model.head.out_features == 10


def test_a_linear_probe_forgets_nothing(piles):
    model = starting_model("linear probe", 0)
    freeze(model)
    train_on_target(model, piles[0].few(1, 0), 0, QUICK)
    assert forgotten(model, "letters") == 0


def test_judgements_go_through_a_file(tmp_path):
    rows = [
        Judged("letters", 1, 50.0, "10.00 55.50", 1.5, 9.0, 4.0, 60.0),
        Judged("scratch", 0, 5, "1.0", 2, 3, 4, math.nan),
    ]
    back = read_judged(save_rows(tmp_path / "judged.csv", rows))
    assert back[0] == rows[0]
    assert back[0].epochs() == [10.0, 55.5]
    assert math.isnan(back[1].forgotten)
    assert column([*rows, Judged("letters", 0, 40.0, "", 1, 1, 1, 1)], "letters", "accuracy") == [40.0, 50.0]


def test_luck_is_found_where_it_was_put():
    draws = torch.Generator().manual_seed(0)
    sheets = torch.arange(10).repeat_interleave(40)
    even = torch.rand(8, 400, generator=draws) < 0.7
    luck = sources_of_luck(even, sheets)
    assert luck["test sheets"] == pytest.approx(luck["test images"], rel=0.35)
    hard = torch.rand(8, 400, generator=draws) < torch.linspace(0.3, 1, 10).repeat_interleave(40)
    assert sources_of_luck(hard, sheets)["test sheets"] > 2.5 * luck["test sheets"]
    uneven = torch.rand(8, 400, generator=draws) < torch.linspace(0.4, 1, 8)[:, None]
    assert sources_of_luck(uneven, sheets)["training (seed)"] > 5 * luck["training (seed)"]
    percent = 100 * even.double().numpy()
    assert luck["training (seed)"] == pytest.approx(percent.mean(1).std(ddof=1))
    assert luck["test images"] == pytest.approx(np.mean(percent.std(1, ddof=1) / 20))
    with pytest.raises(ValueError, match="got hits of 1 network"):
        sources_of_luck(even[:1], sheets)


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


def test_a_promise_is_the_best_of_many(piles):
    draws = torch.Generator().manual_seed(0)
    labels = torch.arange(10).repeat(20)
    features = torch.randn(200, 20, generator=draws)  # says nothing about the labels
    promises = [promise(features, labels, seed, candidates=12) for seed in range(3)]
    assert np.mean([p.truth for p in promises]) == pytest.approx(10, abs=4)
    assert np.mean([p.promised for p in promises]) > 14
    assert np.mean([p.promised for p in promises]) > np.mean([p.nested for p in promises])
    assert [p.seed for p in promises] == [0, 1, 2]
    assert promise(features, labels, 1, candidates=12) == promises[1]


def test_shipped_tables_have_every_seed():
    answers, judged, promises = read_answers(), read_judged(), read_promises()
    assert {(row.network, row.seed) for row in answers} == {(name, seed) for name in RIVALS for seed in range(20)}
    assert {len(row.answers) for row in answers} == {891}
    assert {(row.network, row.seed) for row in judged} == {(name, seed) for name in CONTESTANTS for seed in range(10)}
    assert [p.seed for p in promises] == list(range(40))
    labels = load("handwritten-photo", split="test").labels
    for name in RIVALS:
        percent = 100 * (answer_table(answers, name) == labels).double().mean(1)
        rows = sorted((row for row in answers if row.network == name), key=lambda row: row.seed)
        assert percent.tolist() == pytest.approx([row.accuracy for row in rows], abs=1e-3)
