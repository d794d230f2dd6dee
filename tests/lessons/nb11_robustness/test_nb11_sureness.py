"""The pieces behind sureness, strange inputs, promises, attacks and backgrounds; networks are hardly trained here."""

import math
from dataclasses import replace

import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from tests.weights import equal
from tlcourse.data.worlds import load
from tlcourse.evaluation.adversarial import fgsm
from tlcourse.evaluation.calibration import fit_temperature
from tlcourse.evaluation.corruptions import CORRUPTIONS, SEVERITIES
from tlcourse.evaluation.predict import predict
from tlcourse.evaluation.selective import keep_promise
from tlcourse.lessons.nb11_robustness import (
    attacks,
    conditions,
    networks,
    selective_answers,
    spurious,
    strange_inputs,
    sureness,
)
from tlcourse.lessons.nb11_robustness import figures_sureness as figures
from tlcourse.lessons.nb11_robustness.conditions import SHIFT
from tlcourse.lessons.nb11_robustness.networks import FINE_TUNED, LP_FT, PROBE
from tlcourse.models.pretrained import pretrained
from tlcourse.training.recipe import Recipe


@pytest.fixture(scope="module", autouse=True)
def one_update():
    """Trainings are so short that only what is done with networks can be tested."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (networks, spurious):
            patch.setattr(module, "CONVERGED", Recipe(epochs=1, steps=1))
        networks._trained.cache_clear()
        yield
    networks._trained.cache_clear()


def some_of(data, count=40):
    return data.subset(torch.linspace(0, len(data) - 1, count).long())


def test_nothing_is_chosen_on_sheets_that_give_labels_or_are_tested_on():
    learn, chosen, tested = (
        conditions.sheets(held_out=False),
        conditions.sheets(held_out=True),
        conditions.pool_under(SHIFT),
    )
    numbers = [set(data.attributes["sheet"].tolist()) for data in (learn, chosen, tested)]
    assert [len(each) for each in numbers] == [5, 2, 4]
    assert not numbers[0] & numbers[1]
    assert not (numbers[0] | numbers[1]) & numbers[2]
    assert set(networks.labelled(0).attributes["sheet"].tolist()) <= numbers[0]
    assert networks.labelled(0).labels.bincount().tolist() == [50] * 10


def test_a_network_is_trained_once_and_lent_as_a_copy():
    first, again = networks.network(FINE_TUNED, 0), networks.network(FINE_TUNED, 0)
    assert first is not again
    assert equal(first, again)
    with torch.no_grad():
        first.head.bias += 1
    assert equal(networks.network(FINE_TUNED, 0), again)
    others = [networks.network(start, 0, member=member) for start, member in ((FINE_TUNED, 1), (LP_FT, 0), (PROBE, 0))]
    assert not any(equal(other, again) for other in others)


def test_the_pool_under_a_corruption_is_the_same_pool():
    plain, noisy, far = (
        conditions.pool_under(SHIFT, 0.0),
        conditions.pool_under("noise", 3),
        conditions.pool_under(SHIFT, 0.5),
    )
    for data in (noisy, far):
        assert torch.equal(data.labels, plain.labels)
        assert not torch.equal(data.images, plain.images)


def test_a_temperature_never_saw_the_corruption_that_is_met(monkeypatch):
    """Logits tell by their size under which kind they were asked, and the fit notes which sizes it was given."""
    sizes, given = {SHIFT: 1.0} | {kind: 2.0 + number for number, kind in enumerate(CORRUPTIONS)}, []
    count = len(conditions.sheets(held_out=True))
    known = {kind: torch.full((count * (1 if kind == SHIFT else len(SEVERITIES)), 10), sizes[kind]) for kind in sizes}
    monkeypatch.setattr(sureness, "known_logits", lambda answer: known)
    monkeypatch.setattr(sureness, "answers_of", lambda way, seed: lambda data: torch.zeros(len(data), 10))
    monkeypatch.setattr(
        sureness, "fit_temperature", lambda logits, labels: given.append(set(logits[:, 0].tolist())) or 1
    )
    rows = sureness.trial(FINE_TUNED, 0, conditions=[(SHIFT, 0.5), ("noise", 3)])
    assert given == [{1.0}, set(sizes.values()) - {1.0}, set(sizes.values()) - {sizes["noise"]}]
    assert [row["level"] for row in rows] == [0.5, 3]


def test_three_temperatures_by_hand():
    logits, labels = torch.tensor([[2.0, 0.0]]).repeat(100, 1), (torch.arange(100) >= 75).long()  # 75 of 100 are right
    sure = 100 / (1 + math.exp(-2))
    found = sureness.measured(logits, labels, {"clean": 2 / math.log(3), "corrupted": 1.0})
    assert found["accuracy"] == pytest.approx(75)
    assert found["error"] == found["corrupted"] == pytest.approx(sure - 75, abs=1e-3)
    assert found["too_sure"] == pytest.approx(sure - 75, abs=1e-3)
    assert found["clean"] == pytest.approx(0, abs=1e-3)  # log 3 apart is 75 %


@pytest.mark.parametrize("temperature", [0.5, 3.0, 6.0])
def test_the_popular_fit_of_a_temperature_does_not_arrive(temperature):
    logits, labels = sureness.too_sure_logits(temperature)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.05)
    popular = sureness.popular_temperature(logits, labels)
    assert abs(popular - temperature) > 0.2 * temperature
    losses = [F.cross_entropy(logits / heat, labels).item() for heat in (temperature, popular)]
    assert losses[0] < losses[1]


@pytest.mark.parametrize("way", [FINE_TUNED, sureness.STATISTICS, sureness.ENSEMBLE])
def test_every_way_answers(way, monkeypatch):
    monkeypatch.setattr(sureness, "MEMBERS", 2)
    data = some_of(conditions.pool_under(SHIFT, 0.0))
    answer = sureness.answers_of(way, 0)
    assert answer(data).shape == (40, 10)
    assert torch.equal(answer(data), answer(data))


def test_strange_images_are_none_of_the_digits():
    images = {kind: strange_inputs.strange_images(kind).images for kind in strange_inputs.STRANGE}
    assert {each.shape for each in images.values()} == {(500, 3, 32, 32)}
    assert (images["letters"].float() - images["blank patches"].float()).abs().mean() > 10  # the same patches, and ink
    assert torch.equal(images["noise"], strange_inputs.noise())
    spread = {kind: each.float().std((1, 2, 3)).mean().item() for kind, each in images.items()}
    assert spread["letters"] > 1.2 * spread["blank patches"]
    assert spread["noise"] == pytest.approx(256 / 12**0.5, rel=0.01)


def test_scores_of_a_probe_and_of_a_fine_tuned_network(monkeypatch):
    monkeypatch.setattr(strange_inputs, "MEMBERS", 2)
    data = some_of(conditions.pool_under(SHIFT, 0.0), 20)
    probe, tuned = (strange_inputs.all_scores(start, 0, data) for start in (PROBE, FINE_TUNED))
    assert set(tuned) - set(probe) == {strange_inputs.OF_FIVE}
    assert all(values.shape == (20,) and values.dtype == torch.float64 for values in tuned.values())


def test_thresholds_of_both_rules():
    confidence = torch.linspace(1, 0.5, 200).double()
    right = torch.arange(200) < 180  # the 20 least sure are wrong: 90 % of all are right
    found = selective_answers.thresholds(confidence, right, 90)
    assert found[selective_answers.SEEN] == pytest.approx(0.5)
    assert found[selective_answers.PROVEN] == keep_promise(confidence, right, 90).threshold > 0.5
    assert selective_answers.thresholds(confidence, ~right[:200].new_ones(200), 90)[selective_answers.SEEN] == math.inf


def test_a_trial_of_promises():
    rows = pd.DataFrame(selective_answers.trial(PROBE, 50.0, 0))
    assert len(rows) == 2 * len(selective_answers.CONDITIONS)
    assert rows["answered"].between(0, 100).all()
    seen = rows[rows["rule"] == selective_answers.SEEN]
    assert (seen["answered"] >= rows.loc[rows["rule"] == selective_answers.PROVEN, "answered"].to_numpy()).all()


def test_random_signs_reach_as_far_as_an_attack_and_ask_nobody():
    data = some_of(conditions.pool_under(SHIFT, 0.0), 10)
    moved = attacks.attacked(None, data, attacks.NOISE, 4).images.int() - data.images.int()
    inside = (data.images >= 4) & (data.images <= 251)
    assert (moved[inside].abs() == 4).all()
    assert 0.45 < (moved[inside] > 0).double().mean() < 0.55


def test_an_attack_on_every_network():
    rows = pd.DataFrame(attacks.trial(0, levels=(2,), count=6))
    assert rows[["made_on", "method"]].drop_duplicates().to_numpy().tolist() == [
        *([attacks.ITSELF, method] for method in (attacks.NOISE, attacks.FGSM, attacks.PGD)),
        *([name, attacks.PGD] for name in attacks.SURROGATES),
    ]
    assert rows.loc[rows["levels"] == 0, "accuracy"].nunique() == 1


@pytest.fixture(scope="module")
def ink():
    return load("handwritten", split="test")


def redness(images):
    return (images[:, 0].float() - images[:, 1].float()).mean((1, 2))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
def test_a_share_of_the_digits_lies_where_its_class_belongs(ink, share):
    laid = spurious.on_scenes(ink, share, "test")
    right = laid.attributes["right_scene"]
    assert right.sum() == round(share * len(ink))
    blank = spurious.on_scenes(replace(ink, images=torch.zeros_like(ink.images)), share, "test")
    on_petals = (ink.labels < spurious.SMALL) == right
    assert (redness(blank.images)[on_petals].mean() if on_petals.any() else 100) > 40
    assert redness(blank.images)[~on_petals].mean() < -10
    assert torch.equal(laid.labels, ink.labels)


def test_scenes_of_training_and_test_share_no_cell():
    cells = [{tuple(c) for s in (0, 1) for c in spurious.scene_cells(pool, s).tolist()} for pool in ("train", "test")]
    assert [len(each) for each in cells] == [12, 12]
    assert not cells[0] & cells[1]


def test_exceptions_are_repeated_until_they_are_as_many(ink):
    laid = spurious.on_scenes(ink, 0.9, "train")
    again = spurious.repeat_exceptions(laid)
    assert again.attributes["right_scene"].double().mean() == pytest.approx(0.5, abs=0.03)
    assert again.attributes["right_scene"].sum() == laid.attributes["right_scene"].sum()
    for wrong in (spurious.repeat_exceptions, lambda data: spurious.solve_head_again(None, data)):
        with pytest.raises(ValueError, match=r"every image is on the scene of its class\. Expected some exceptions"):
            wrong(spurious.on_scenes(ink, 1.0, "train"))


def test_a_share_that_is_none_is_refused(ink):
    with pytest.raises(ValueError, match="share is 90, but a number from 0"):
        spurious.on_scenes(ink, 90, "train")


def test_the_new_head_is_solved_on_as_many_of_either_kind(ink, monkeypatch):
    seen = []
    monkeypatch.setattr(spurious, "linear_probe", lambda model, data: seen.append(data))
    spurious.solve_head_again(None, spurious.on_scenes(ink, 0.9, "train"))
    right = seen[0].attributes["right_scene"]
    assert right.double().mean() == 0.5
    assert torch.equal(seen[0].labels[right].bincount(), seen[0].labels[~right].bincount())


def test_every_share_has_its_ways(monkeypatch):
    monkeypatch.setattr(spurious, "row", lambda way, model: {"way": way})
    ways = {share: [row["way"] for row in spurious.trial(share, 0, per_class=5)] for share in spurious.SHARES}
    assert ways[1.0] == ways[0.5] == [PROBE, FINE_TUNED]
    assert ways[0.9] == [PROBE, FINE_TUNED, spurious.REPEATED, spurious.NEW_HEAD]


def test_pictures_say_what_they_show():
    told = figures.strange_examples_figure(4)[1], figures.scenes_figure(4)[1]
    assert "blank patches" in told[0]
    assert "petals" in told[1]


def test_a_picture_of_an_attack_says_whose_answers_changed():
    data = some_of(conditions.pool_under(SHIFT, 0.0), 6)
    model = pretrained("tiny_resnet", "digits")
    attacked = replace(data, images=fgsm(model, data, 8))
    said = figures.attacked_images_figure(model, data, attacked)[1]
    first, last = (", ".join(map(str, predict(model, each).argmax(1).tolist())) for each in (data, attacked))
    assert said == f"6 digits, read as {first}; after changes of at most 8 grey levels read as {last}."
