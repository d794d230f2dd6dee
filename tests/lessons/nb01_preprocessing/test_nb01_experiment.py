"""The experiments of notebook 01 on small pieces: folds, prices, augmentations, and statistics before the split."""

import itertools

import pytest
import torch
from torch import nn

from tlcourse.data.augmentations import Augment
from tlcourse.data.batches import Batches
from tlcourse.data.cleaning import CleaningReport, Finding
from tlcourse.data.defects import Planted, plant_defects
from tlcourse.data.mixing import MixedBatches
from tlcourse.data.normalisation import HALF, channel_statistics, scale
from tlcourse.data.splits import sees_held_out, stratified_folds
from tlcourse.data.worlds import load
from tlcourse.lessons.nb01_preprocessing import augmentation_worth as augmenting
from tlcourse.lessons.nb01_preprocessing import experiment as preprocessing
from tlcourse.lessons.nb01_preprocessing import inspection as inspecting
from tlcourse.lessons.nb01_preprocessing import peeking
from tlcourse.lessons.nb01_preprocessing.augmentation_worth import Worth, worth_of
from tlcourse.lessons.shipped import SHIPPED
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.rows import read_rows, shipped_table
from tlcourse.repro import generator, seeded
from tlcourse.training.recipe import Recipe


@pytest.fixture(scope="module")
def digits():
    return load("handwritten-photo").few(12, seed=0)


@pytest.fixture(scope="module")
def backbone():
    return pretrained("tiny_resnet", "letters")


@pytest.fixture(scope="module")
def cloud():
    """Three clouds of points and their labels."""
    labels = torch.arange(60) % 3
    return torch.randn(60, 8, generator=generator("cloud")) + 4 * torch.eye(3, 8)[labels], labels


def test_nearest_neighbour_is_that_of_scikit_learn(cloud):
    from sklearn.neighbors import KNeighborsClassifier

    x, y = cloud
    asked = torch.randn(50, 8, generator=generator("asked")) + 1
    ours = preprocessing.nearest_neighbour(x, y, 3)(asked)
    theirs = KNeighborsClassifier(1).fit(x.numpy(), y.numpy()).predict(asked.numpy())
    assert ours.argmax(1).tolist() == theirs.tolist()
    assert ours.sum(1).tolist() == [1] * 50


def test_a_linear_probe_gives_probabilities_also_for_classes_it_never_saw(cloud):
    x, y = cloud
    answers = preprocessing.linear_probe(x[y < 2], y[y < 2], 3)(x)
    assert answers.sum(1).numpy() == pytest.approx(1, abs=1e-5)
    assert answers[:, 2].max() == 0
    assert preprocessing.percent_right(answers[y < 2], y[y < 2]) == 100


def test_a_linear_probe_standardises_by_its_own_images(cloud):
    """A unit of measurement changes nothing."""
    x, y = cloud
    a = preprocessing.linear_probe(x, y, 3)(x)
    b = preprocessing.linear_probe(1000 * x + 7, y, 3)(1000 * x + 7)
    assert torch.allclose(a, b, atol=1e-3)


def test_out_of_sample_answers_do_not_know_their_own_label(cloud):
    x, y = cloud
    falsified = y.clone()
    falsified[5] = (y[5] + 1) % 3
    folds = stratified_folds(falsified, 4, generator("folds"))
    answers = preprocessing.out_of_sample(x, falsified, 3, folds, "nearest neighbour")
    assert int(answers[5].argmax()) == int(y[5])
    in_sample = preprocessing.nearest_neighbour(x, falsified, 3)(x)
    assert int(in_sample[5].argmax()) == int(falsified[5])


def test_percent_right():
    assert preprocessing.percent_right(torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]), torch.tensor([0, 1, 1])) == (
        pytest.approx(200 / 3)
    )


def test_copies_leak_when_folds_are_random(backbone):
    rows = preprocessing.leak_by_copies(0, backbone, per_class=8, exact=30, near=50)
    assert len(rows) == 6
    gap = {(row.method, row.split): row.said - row.true for row in rows}
    for method in preprocessing.METHODS:
        assert gap[method, "random folds"] > gap[method, "folds by the truth"]


def test_a_sheet_that_is_new_is_in_no_fold(monkeypatch, backbone):
    seen = {}

    def look(folds, images, new, backbone, seed, counted):
        seen.update(known=images.attributes["sheet"].unique().tolist(), new=new.attributes["sheet"].unique().tolist())
        assert counted.all()
        return list(folds)

    monkeypatch.setattr(preprocessing, "compare_folds", look)
    assert preprocessing.leak_by_sheets(3, backbone) == ["random folds", "folds by sheet"]
    assert seen == {"known": [0, 1, 2, 4, 5, 6], "new": [3]}


def test_conventions_are_what_they_say():
    kinds = preprocessing.conventions()
    images = load("handwritten-photo", count=30)
    expected = {"-1..1 (as trained)": (-1, 1), "0..1": (0, 1), "0..255": (0, 255)}
    for name, (low, high) in expected.items():
        ((x, labels),) = preprocessing.normalised(images, kinds[name])
        assert (x.min().item(), x.max().item()) == pytest.approx((low, high), abs=0.05 * high)
        assert torch.equal(labels, images.labels)
    ((x, _),) = preprocessing.normalised(images, HALF)
    assert torch.allclose(x, scale(images.images), atol=1e-6)
    target = channel_statistics(load("handwritten-photo").images)
    assert torch.equal(kinds["target statistics"].mean, target.mean)
    assert not torch.allclose(kinds["source statistics"].mean, target.mean, atol=0.05)


def test_a_price_is_measured_for_every_convention():
    rows = preprocessing.price_as_it_is(0)
    assert [row.convention for row in rows] == list(preprocessing.conventions())
    scores = {row.convention: row.accuracy for row in rows}
    assert scores["0..255"] < scores["-1..1 (as trained)"] - 5


def test_fine_tuning_sees_the_convention_that_it_is_measured_with(monkeypatch):
    seen = {}

    def train(model, few, recipe, *, seed):
        assert isinstance(recipe.augment.parts[0], Augment)
        x = scale(few.images)
        seen["training"] = recipe.augment.parts[1](x, None)

    monkeypatch.setattr(preprocessing, "train", train)
    row = preprocessing.price_of_fine_tuning(0, "0..255")
    few = load("handwritten-photo").few(5, 0)
    assert torch.allclose(seen["training"], few.images.float(), atol=1e-3)
    assert (row.what, row.convention, row.seed) == ("fine-tuned", "0..255", 0)


class Remember(nn.Module):
    """A network that remembers nothing but can be handed around."""


def test_training_differs_in_the_augmentation_alone(monkeypatch, digits):
    calls = {}

    def train(model, labelled, recipe, *, seed):
        calls[len(calls)] = (labelled, recipe)

    monkeypatch.setattr(augmenting, "train", train)
    for name in augmenting.NAMES:
        augmenting.train_varied(Remember(), digits, 3, name)
    standard = Recipe()
    for name, (labelled, recipe) in zip(augmenting.NAMES, calls.values(), strict=True):
        assert (recipe.epochs, recipe.steps, recipe.batch, recipe.lr, recipe.weight_decay) == (
            *(standard.epochs, standard.steps, standard.batch, standard.lr, standard.weight_decay),
        )
        batches = labelled.batches(recipe.batch, steps=recipe.steps, transform=recipe.augment, seed=3)
        assert isinstance(batches, MixedBatches if name in augmenting.MIXINGS else Batches)
        assert len(batches) == standard.steps


def test_no_augmentation_is_none(digits):
    batches = digits.batches(20, transform=augmenting.VARIATIONS["none"], seed=1)
    plain = digits.batches(20, seed=1)
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(batches, plain, strict=True))


def test_an_unknown_augmentation_is_refused(digits):
    with pytest.raises(ValueError, match=r"'blur' is not an augmentation\. Expected one of: 'none', 'crop'"):
        augmenting.train_varied(Remember(), digits, 0, "blur")


def test_worth_is_ordered_by_seed():
    rows = [Worth("crop", "scratch", seed, 10 * seed) for seed in (2, 0, 1)] + [Worth("flip", "scratch", 0, 99)]
    assert worth_of(rows, "crop", "scratch") == [0, 10, 20]
    assert worth_of(rows, "crop", "fine-tuned") == []


class Corner(nn.Module):
    """Says 1 where the upper left corner is brighter than the upper right one, else 0."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        left, right = x[:, :, :8, :8].mean((1, 2, 3)), x[:, :, :8, -8:].mean((1, 2, 3))
        return torch.stack([right, left], 1)


def test_readers_get_turned_and_mirrored_images(digits):
    one = digits.subset(torch.tensor([0]))
    one.images.zero_()[:, :, :10, :10] = 255
    assert augmenting.reading_by_angle(Corner(), one, [0, 90, -90, 180]).shape == (4, 1)
    assert augmenting.reading_by_angle(Corner(), one, [0, -90])[:, 0].tolist() == [1, 0]
    assert augmenting.reading_when_flipped(Corner(), one).tolist() == [0]


def test_detectors_are_measured_by_pairs():
    truth = Planted(exact={5: 2}, near={1: 4, 8: 3}, changed={1: "noisy", 8: "mirrored"}, blank=(6,), wrong={7: 0})
    findings = (
        Finding("exact duplicate", 5, "", 1, 2),
        Finding("near duplicate", 4, "", 1, 1),  # the later image is reported, also when it is the original
        Finding("near duplicate", 8, "", 1, 2),  # the wrong partner
        Finding("blank", 0, "", 1),
        Finding("wrong label", 7, "", 1),
    )
    rows = inspecting.measure(CleaningReport(findings, 9), truth, seed=3)
    assert [(r.kind, r.precision, r.recall) for r in rows] == [
        ("exact duplicate", 100, 100),
        ("near duplicate", 50, 50),
        ("blank", 0, 0),
        ("wrong label", 100, 100),
    ]
    counts = {row[0]: row[1:] for row in inspecting.recall_by_change(CleaningReport(findings, 9), truth)}
    assert counts["noisy"] == ["1", "1"]
    assert counts["mirrored"] == ["0", "1"]


def test_inspection_changes_nothing_and_sees_every_image(digits, backbone):
    dirty, _ = plant_defects(digits, generator("dirt", 0), exact=5, near=6, blank=6, wrong=6)
    images, labels = dirty.images.clone(), dirty.labels.clone()
    report = inspecting.inspect(dirty, inspecting.judge_labels(dirty, backbone))
    assert report.checked == len(dirty)
    assert torch.equal(dirty.images, images)
    assert torch.equal(dirty.labels, labels)
    assert len(report.which("exact duplicate")) == 5


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


def test_coins_are_fair_and_know_nothing_of_the_images():
    x, labels = peeking.coin_flips(0)
    assert x.shape == (100, 3072)
    assert labels.sum() == 50
    assert not torch.equal(labels, peeking.coin_flips(1)[1])


def test_peeking_is_caught():
    x, coins = peeking.coin_flips(2)
    train = torch.arange(80)
    assert sees_held_out(lambda x, y, t: peeking.most_telling(x, y), x, coins, train, generator(0))
    assert not sees_held_out(lambda x, y, t: peeking.most_telling(x[t], y[t]), x, coins, train, generator(0))


def test_the_same_seed_gives_the_same(backbone):
    assert peeking.peek_at_pixels(4) == peeking.peek_at_pixels(4)
    assert peeking.peek_at_channels(4, backbone) == peeking.peek_at_channels(4, backbone)
    with seeded("elsewhere"):
        state = torch.random.get_rng_state()
        peeking.peek_at_pixels(1)
        assert torch.equal(state, torch.random.get_rng_state())


def test_both_tables_can_be_computed_again():
    assert SHIPPED["augmentation_worth"] == (augmenting.augmentation_worth, 10)
    assert SHIPPED["normalisation_price"] == (preprocessing.normalisation_price, 10)
    worth = read_rows(shipped_table("augmentation_worth"), Worth)
    assert {(row.augmentation, row.start, row.seed) for row in worth} == set(
        itertools.product(augmenting.NAMES, augmenting.BEGINNINGS, range(10))
    )
    prices = read_rows(shipped_table("normalisation_price"), preprocessing.Price)
    assert len(prices) == 4 * 5 * 10
    assert {row.convention for row in prices} == set(preprocessing.conventions())


def test_gaps_are_paired_by_method():
    leak = preprocessing.Leak
    rows = [leak("random folds", m, s, 90 + k, 80) for k, m in enumerate(preprocessing.METHODS) for s in range(3)]
    rows += [leak("other", m, s, 0, 80) for m in preprocessing.METHODS for s in range(3)]
    gaps = preprocessing.leak_gaps(rows, "random folds")
    assert {method: gap.mean for method, gap in gaps.items()} == {"nearest neighbour": 10, "linear probe": 11}


def test_means_of_one_measurement():
    price = preprocessing.Price
    rows = [price("probe", name, s, 50 + s + k) for k, name in enumerate("ab") for s in range(3)]
    rows += [price("other", name, s, 0) for name in "ab" for s in range(3)]
    assert {name: i.mean for name, i in preprocessing.price_means(rows, "probe").items()} == {"a": 51, "b": 52}


def test_tables_have_a_cell_for_every_column(digits):
    rows = [
        Worth(name, start, s, 50 + s) for name in ("none", "crop") for start in augmenting.BEGINNINGS for s in (0, 1)
    ]
    table = augmenting.worth_table(rows)
    assert [row[0] for row in table] == ["none", "crop"]
    assert table[0][1:] == ["50.5 [50.0, 51.0]"] * 2
    assert len(augmenting.WORTH_HEADER) == len(table[0])
    mirror = augmenting.mirror_table(pretrained("tiny_resnet", "digits"), digits)
    assert [row[0] for row in mirror] == list(digits.classes)
    assert int(mirror[0][2]) > int(mirror[3][2])
    assert len(augmenting.MIRROR_HEADER) == len(mirror[0])


def test_sixes_and_nines_swap_when_upside_down(digits):
    reader = pretrained("tiny_resnet", "digits")
    shares = augmenting.sixes_and_nines(reader, digits, [0, 180])
    assert list(shares) == ["a 6 is read as 6", "a 6 is read as 9", "a 9 is read as 9", "a 9 is read as 6"]
    own = digits.subset(digits.labels == 6)
    upright = augmenting.reading_by_angle(reader, own, [0])
    assert shares["a 6 is read as 6"][0] == pytest.approx((upright == 6).float().mean().item())
    assert shares["a 6 is read as 9"][1] > shares["a 6 is read as 9"][0]


def test_findings_are_shown_the_surest_first():
    findings = [Finding("blank", 1, "x", 0.2), Finding("wrong label", 3, "y", 1), Finding("blank", 2, "z", 0.9)]
    report = CleaningReport(tuple(findings), 5)
    assert [f.which for f in inspecting.surest(report, "blank")] == [2, 1]
    assert inspecting.finding_table(findings[:1]) == [["blank", "1", "x", "0.20"]]
    assert len(inspecting.FINDING_HEADER) == 4
