"""The experiments of notebook 01 on small pieces: folds, prices, augmentations, and statistics before the split."""

import pytest
import torch

from tlcourse.data.augmentations import Augment
from tlcourse.data.cleaning import CleaningReport, Finding
from tlcourse.data.defects import Planted, plant_defects
from tlcourse.data.mixing import MixedBatches
from tlcourse.data.normalisation import HALF, channel_statistics, scale
from tlcourse.data.splits import sees_held_out
from tlcourse.data.worlds import load
from tlcourse.lessons.nb01_preprocessing import experiment, inspection, leaks, peeking
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.results import results
from tlcourse.repro import generator, seeded
from tlcourse.training.recipe import Recipe
from tools.pretended_gpu import pretended_gpu


@pytest.fixture(scope="module")
def digits():
    return load("handwritten-photo").few(12, seed=0)


@pytest.fixture(scope="module")
def backbone():
    return pretrained("tiny_resnet", "letters")


def test_nearest_neighbour_is_that_of_scikit_learn():
    from sklearn.neighbors import KNeighborsClassifier

    y = torch.arange(60) % 3
    x = torch.randn(60, 8, generator=generator("cloud")) + 4 * torch.eye(3, 8)[y]
    asked = torch.randn(50, 8, generator=generator("asked")) + 1
    ours = leaks.nearest_neighbour(x, y, 3)(asked)
    theirs = KNeighborsClassifier(1).fit(x.numpy(), y.numpy()).predict(asked.numpy())
    assert ours.argmax(1).tolist() == theirs.tolist()
    assert leaks.percent_right(ours, torch.from_numpy(theirs)) == 100


def test_copies_leak_when_folds_are_random():
    rows = leaks.leak_by_copies(0, per_class=8, exact=30, near=50)
    scores = {(row["method"], row["split"], row["asked"]): row[leaks.CORRECT] for row in rows}
    assert len(scores) == len(rows) == 2 * 3 * 2
    for method in leaks.METHODS:
        optimism = {s: scores[method, s, "cross-validation"] - scores[method, s, "new images"] for s in leaks.SPLITS}
        assert optimism["random folds"] > optimism["folds by the truth"]


def test_a_sheet_that_is_new_is_in_no_fold(monkeypatch):
    seen = {}

    def look(folds, images, new, counted):
        seen.update(known=images.attributes["sheet"].unique().tolist(), new=new.attributes["sheet"].unique().tolist())
        assert counted.all()
        return list(folds)

    monkeypatch.setattr(leaks, "compare_folds", look)
    assert leaks.leak_by_sheets(3) == ["random folds", "folds by sheet"]
    assert seen == {"known": [0, 1, 2, 4, 5, 6], "new": [3]}


def test_conventions_are_what_they_say():
    kinds = experiment.conventions()
    images = load("handwritten-photo", count=30)
    expected = {"-1..1 (as trained)": (-1, 1), "0..1": (0, 1), "0..255": (0, 255)}
    for name, (low, high) in expected.items():
        ((x, labels),) = experiment.normalised(images, kinds[name])
        assert (x.min().item(), x.max().item()) == pytest.approx((low, high), abs=0.05 * high)
        assert torch.equal(labels, images.labels)
    ((x, _),) = experiment.normalised(images, HALF)
    assert torch.allclose(x, scale(images.images), atol=1e-6)
    target = channel_statistics(load("handwritten-photo").images)
    assert torch.equal(kinds["target statistics"].mean, target.mean)
    assert not torch.allclose(kinds["source statistics"].mean, target.mean, atol=0.05)


def test_fine_tuning_sees_the_convention_that_it_is_measured_with(monkeypatch):
    seen = {}

    def train(model, few, recipe, *, seed):
        assert isinstance(recipe.augment.parts[0], Augment)
        seen["training"] = recipe.augment.parts[1](scale(few.images), None)

    monkeypatch.setattr(experiment, "train", train)
    row = experiment.price_of_fine_tuning(0, "0..255", experiment.LONGER)
    assert (row["what"], row["updates"]) == ("fine-tuned", 300)
    assert torch.allclose(seen["training"], load("handwritten-photo").few(5, 0).images.float(), atol=1e-3)


def test_training_differs_in_the_augmentation_alone(monkeypatch):
    calls = []
    monkeypatch.setattr(experiment, "train", lambda model, data, recipe, *, seed: calls.append((data, recipe, seed)))
    for name in experiment.NAMES:
        experiment.worth_trial(name, "scratch", 3)
    settings = ("epochs", "steps", "batch", "lr", "weight_decay")
    for name, (data, recipe, seed) in zip(experiment.NAMES, calls, strict=True):
        assert seed == 3
        assert all(getattr(recipe, setting) == getattr(Recipe(), setting) for setting in settings)
        batches = data.batches(recipe.batch, steps=recipe.steps, transform=recipe.augment, seed=3)
        assert isinstance(batches, MixedBatches) is (name in experiment.MIXINGS)
        assert len(batches) == Recipe().steps
    plain = load("handwritten-photo").few(5, 3).batches(50, steps=10, seed=3)
    untouched = calls[0][0].batches(50, steps=10, transform=experiment.VARIATIONS["none"], seed=3)
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(untouched, plain, strict=True))


def test_gains_are_over_none_of_the_same_start_budget_and_seed():
    worth = results("augmentation_worth")
    gains = experiment.gains(worth.sample(frac=1, random_state=0))
    assert len(gains) == len(worth) - 2 * (10 + 4)
    assert "none" not in set(gains["augmentation"])
    score = worth.set_index(["augmentation", "start", "updates", "seed"])["accuracy"]
    for row in gains.itertuples():
        key = (row.start, row.updates, row.seed)
        assert row.gain == pytest.approx(score[row.augmentation, *key] - score["none", *key])


def test_detectors_are_measured_by_pairs():
    truth = Planted(exact={5: 2}, near={1: 4, 8: 3}, changed={1: "noisy", 8: "mirrored"}, blank=(6,), wrong={7: 0})
    findings = (
        Finding("exact duplicate", 5, "", 1, 2),
        Finding("near duplicate", 4, "", 1, 1),  # the later image is reported, also when it is the original
        Finding("near duplicate", 8, "", 1, 2),  # the wrong partner
        Finding("blank", 0, "", 1),
        Finding("wrong label", 7, "", 1),
    )
    rows = inspection.measure(CleaningReport(findings, 9), truth)
    percent = {(row["kind"], row["measure"]): row["percent"] for row in rows}
    expected = {"exact duplicate": 100, "near duplicate": 50, "blank": 0, "wrong label": 100}
    assert percent == {(kind, name): share for kind, share in expected.items() for name in ("precision", "recall")}
    counts = inspection.recall_by_change(CleaningReport(findings, 9), truth).set_index("change")
    assert counts.loc["noisy"].tolist() == [1, 1]
    assert counts.loc["mirrored"].tolist() == [0, 1]


def test_inspection_changes_nothing_and_sees_every_image(digits, backbone):
    dirty, _ = plant_defects(digits, generator("dirt", 0), exact=5, near=6, blank=6, wrong=6)
    images, labels = dirty.images.clone(), dirty.labels.clone()
    found = inspection.inspect(dirty, backbone)
    assert found.checked == len(dirty)
    assert torch.equal(dirty.images, images)
    assert torch.equal(dirty.labels, labels)
    assert len(found.which("exact duplicate")) == 5
    sure = [finding.confidence for finding in found.surest("wrong label")]
    assert len(sure) == len(found.which("wrong label"))
    assert sure == sorted(sure, reverse=True)


def test_out_of_sample_probabilities_do_not_know_their_own_label(digits, backbone):
    falsified = digits.subset(torch.arange(len(digits)))
    falsified.labels[5] = (digits.labels[5] + 1) % 10
    wrong, right = int(falsified.labels[5]), int(digits.labels[5])
    unseen, seen = (probe(falsified, backbone) for probe in (inspection.out_of_sample, inspection.in_sample))
    assert unseen.sum(1).numpy() == pytest.approx(1, abs=1e-5)
    assert seen[5, wrong] > unseen[5, wrong]
    assert unseen[5, right] > seen[5, right]


def test_the_most_telling_pixels_are_those_planted():
    x = torch.rand(40, 50, generator=generator("x"))
    labels = torch.arange(40) % 2
    x[:, [3, 17]] += labels[:, None]
    assert peeking.most_telling(x, labels, 2).tolist() == [3, 17]


def test_nearest_mean_is_that_of_scikit_learn():
    from sklearn.neighbors import NearestCentroid

    x, asked = torch.rand(40, 6, generator=generator("x")), torch.rand(30, 6, generator=generator("asked"))
    labels = torch.arange(40) % 2
    theirs = NearestCentroid().fit(x.numpy(), labels.numpy()).predict(asked.numpy())
    assert peeking.nearest_mean(x, labels, asked).tolist() == theirs.tolist()


def test_coins_are_fair_and_peeking_at_them_is_caught():
    x, coins = peeking.coin_flips(2)
    train = torch.arange(80)
    assert x.shape == (100, 3072)
    assert coins.sum() == 50
    assert not torch.equal(coins, peeking.coin_flips(1)[1])
    assert sees_held_out(lambda x, y, t: peeking.most_telling(x, y), x, coins, train, generator(0))
    assert not sees_held_out(lambda x, y, t: peeking.most_telling(x[t], y[t]), x, coins, train, generator(0))


def test_the_same_seed_gives_the_same():
    first = peeking.peek(4)
    with seeded("elsewhere"):
        assert peeking.peek(4) == first


def test_mixed_images_are_trained_on_here_and_on_a_gpu():
    once = Recipe(epochs=1, steps=2)
    here = experiment.worth_trial("CutMix", "scratch", 0, once)
    with pretended_gpu():
        assert experiment.worth_trial("CutMix", "scratch", 0, once) == here
