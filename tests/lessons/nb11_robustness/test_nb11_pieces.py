"""The pieces behind ways to learn and answer, the line between networks and single stages; hardly trained here."""

import itertools
from dataclasses import replace

import pandas as pd
import pytest
import torch

import tlcourse as tl
from tests.weights import changed, copies, equal
from tlcourse.evaluation.predict import predict
from tlcourse.lessons.nb11_robustness import alpha, conditions, experiment, figures, learning, stages
from tlcourse.lessons.nb11_robustness.alpha import ALPHAS, ANEW, AVERAGED, HALVES
from tlcourse.lessons.nb11_robustness.conditions import KINDS
from tlcourse.lessons.nb11_robustness.lab import RobustnessLab
from tlcourse.training.recipe import CONVERGED, Recipe
from tlcourse.unlabelled.tent import by_batch_statistics

HARDLY = Recipe(epochs=1, steps=1)


@pytest.fixture(scope="module")
def few():
    return tl.load("handwritten-photo").few(2, 0)


@pytest.fixture(scope="module")
def small():
    """Forty images of the test pool."""
    return tl.load("handwritten-photo", split="test").subset(torch.arange(40))


def test_settings_are_chosen_on_other_sheets_than_they_learn_from():
    learn, watch = conditions.sheets(held_out=False), conditions.sheets(held_out=True)
    numbers = [set(data.attributes["sheet"].tolist()) for data in (learn, watch, conditions.pool_under())]
    assert not numbers[0] & numbers[1]
    assert not (numbers[0] | numbers[1]) & numbers[2]


def test_a_condition_changes_images_and_no_label():
    clean = conditions.pool_under()
    for other in (conditions.pool_under("noise", 2), conditions.pool_under(conditions.SHIFT, 0.5)):
        assert torch.equal(other.labels, clean.labels)
        assert not torch.equal(other.images, clean.images)


@pytest.mark.parametrize("way", [learning.SOURCE, learning.PROBE, learning.TUNED, learning.LORA, learning.SCRATCH])
def test_what_a_way_to_learn_moves(way, few):
    before = copies(learning.starting(learning.SCRATCH if way == learning.SCRATCH else learning.SOURCE, few, 0))
    moved = {name.split(".")[0] for name in changed(learning.learned(way, few, 0, recipe=HARDLY), before)}
    assert ("head" in moved) == (way != learning.SOURCE)
    assert ("block1" in moved) == (way not in (learning.SOURCE, learning.PROBE))


def test_a_mild_corruption_of_training_leaves_out_what_it_should(small):
    x, draws = tl.scale(small.images), torch.Generator().manual_seed(0)
    bright = learning.Corrupted(["brightness"])(x, draws)
    hit = (bright != x).flatten(1).any(1)
    assert 8 <= hit.sum() <= 32, "about half of forty"
    assert (bright[hit] >= x[hit] - 1e-6).all(), "brightness alone only adds"
    torch.testing.assert_close(bright.amax(), torch.tensor(1.0))
    mixed = learning.Corrupted([kind for kind in KINDS if kind != "occlusion"], share=1.0)(x, draws)
    grey_squares = ((mixed == 0).all(1).flatten(1).sum(1) > 60).sum()
    assert grey_squares == 0


def test_clean_images_are_asked_once_and_corrupted_ones_by_kind(monkeypatch):
    asked = []

    def answer(data):
        asked.append(data)
        return torch.nn.functional.one_hot(data.labels, 10).float() * 9

    found = experiment.measured(experiment.always(answer), 0)
    assert len(asked) == 1
    assert found["accuracy"] == 100
    experiment.measured(experiment.always(answer), 3)
    assert len(asked) == 1 + len(KINDS)


def test_ways_to_answer(few, small):
    model = learning.learned(learning.PROBE, few, 0)
    plain = experiment.as_it_is(model)(small)
    torch.testing.assert_close(plain.exp().sum(1), torch.ones(40))
    twice = experiment.together([experiment.as_it_is(model)] * 2)(small)
    torch.testing.assert_close(twice.float().softmax(1), plain.exp())
    torch.testing.assert_close(
        experiment.in_batches(model, small).float(),
        next(by_batch_statistics(model, [small.images])).log_softmax(1),
        atol=1e-4,
        rtol=1e-4,
    )
    views = experiment.in_views(model, small).float().softmax(1)
    assert not torch.allclose(views, plain.exp(), atol=1e-3)
    assert (views.argmax(1) == plain.argmax(1)).double().mean() > 0.5


def test_every_way_has_a_row_for_each_severity(monkeypatch, few):
    monkeypatch.setattr(experiment, "measured", lambda answering, severity: {"accuracy": float(severity)})
    monkeypatch.setattr(experiment, "ways", lambda labelled, seed: dict.fromkeys([experiment.WISE, experiment.SOUP]))
    rows = pd.DataFrame(experiment.trial(2, 0))
    assert rows.groupby("way")["severity"].agg(list).to_dict() == {"WiSE-FT": list(range(6)), "soup of 4": [0, 3]}


def test_the_line_begins_and_ends_at_its_networks(monkeypatch, few):
    monkeypatch.setattr(alpha, "CONVERGED", HARDLY)
    monkeypatch.setattr(
        alpha, "learned", lambda way, labelled, seed: learning.learned(way, labelled, seed, recipe=HARDLY)
    )
    monkeypatch.setattr(alpha, "ALPHAS", (0.0, 1.0))
    for source in (alpha.DIGITS, alpha.LETTERS):
        before, after = alpha.ends(source, few, 0)
        assert not equal(before, after)
        rows = pd.DataFrame(alpha.line_trial(source, 2, 0))
        assert list(rows["half"]) == list(HALVES) * 4
        ends = rows[rows["statistics"] == AVERAGED].groupby("alpha")["clean"].mean()
        pool = conditions.pool_under()
        for place, network in ((0.0, before), (1.0, after)):
            assert ends[place] == pytest.approx(tl.accuracy(network, pool), abs=0.2)  # halves differ by an image


def test_the_best_of_a_half_is_worth_less_on_the_other():
    """Two alphas that only luck tells apart: 60 and 50 on one half, 50 and 60 on the other."""
    lucky = {(0.0, "first"): 60.0, (0.5, "first"): 50.0, (0.0, "second"): 50.0, (0.5, "second"): 60.0}
    rows = [{"seed": 0, "alpha": a, "half": h, **dict.fromkeys(KINDS, v)} for (a, h), v in lucky.items()]
    found = alpha.choices(pd.DataFrame(rows)).set_index("chosen")["accuracy"]
    assert found.tolist() == [55.0, 60.0, 50.0]


@pytest.mark.parametrize("part", ["stem", "head", stages.STATISTICS, stages.EVERYTHING, stages.NOTHING])
def test_only_the_part_that_is_freed_learns_again(part, few):
    model = learning.source_network()
    before = copies(model)
    again = stages.mended(model, part, few, 0, replace(stages.AGAIN, epochs=1, steps=1), 1e-2)
    assert equal(model, learning.source_network()), "the network itself stays"
    moved = changed(again, before)
    weights = {name.split(".")[0] for name in moved if not name.endswith(("mean", "var", "tracked"))}
    assert weights == {"stem": {"stem"}, "head": {"head"}, stages.EVERYTHING: {*stages.STAGES}}.get(part, set())
    assert bool(moved) == (part != stages.NOTHING)


def test_renamed_classes_keep_their_images(few):
    renamed = stages.changed(few, stages.RENAMED)
    assert torch.equal(renamed.images, few.images)
    assert (renamed.labels == (few.labels + 1) % 10).all()
    assert torch.equal(stages.target(stages.DIAL, "test").images, conditions.pool_under(conditions.SHIFT, 1.0).images)


def test_pictures_say_what_they_show(few):
    figure, said = figures.corruptions_figure(few, 3)
    assert figure.axes
    assert "noise, blur, contrast" in said
    table = pd.DataFrame(
        [{"change": "noise", "part": part, "accuracy": 50.0 + place} for place, part in enumerate(stages.PARTS)]
    )
    assert "noise: everything 58" in figures.stages_figure(table)[1]
    cells = itertools.product(figures.LEARNERS, range(6))
    rows = [{"way": way, "severity": severity, **dict.fromkeys(KINDS, 90.0 - severity)} for way, severity in cells]
    assert "blur: source alone 85, linear probe 85" in figures.kinds_figure(pd.DataFrame(rows))[1]


def test_the_lab_says_what_the_networks_on_the_line_do(few):
    lab = RobustnessLab(learning.source_network(), learning.learned(learning.PROBE, few, 0), few)
    lab.alpha = 0.4
    accuracy, confidence = lab.curves["blur", 3][0.4]
    data = conditions.corrupted(lab.clean, "blur", 3)
    answers = predict(lab.networks[0.4], data).softmax(1).max(1)
    assert accuracy == pytest.approx(100 * (answers.indices == data.labels).double().mean())
    assert confidence == pytest.approx(100 * answers.values.double().mean())
    assert f"{abs(confidence - accuracy):.1f} points" in lab.sentence.value
    lab.severity = 0
    lab.kind = "noise"
    assert sorted(lab.curves) == [("blur", 3), ("clean", 0)], "all kinds are alike at severity 0"
    assert lab.close()


def test_places_on_the_line():
    assert ALPHAS[0] == 0
    assert ALPHAS[-1] == 1
    assert CONVERGED.updates == 600
    assert ANEW != AVERAGED
