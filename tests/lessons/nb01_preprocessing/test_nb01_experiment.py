"""The experiments of notebook 01 on small pieces: folds, prices, augmentations, and statistics before the split."""

import itertools

import pytest
import torch
from torch import nn

from tlcourse.data.augmentations import Augment
from tlcourse.data.cleaning import CleaningReport, Finding
from tlcourse.data.defects import Planted, plant_defects
from tlcourse.data.mixing import MixedBatches
from tlcourse.data.normalisation import HALF, channel_statistics, scale
from tlcourse.data.splits import sees_held_out
from tlcourse.data.worlds import load
from tlcourse.lessons.nb01_preprocessing import experiment, inspection, leaks, peeking, readings
from tlcourse.models.pretrained import pretrained
from tlcourse.notebook.results import results
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
    ours = leaks.nearest_neighbour(x, y, 3)(asked)
    theirs = KNeighborsClassifier(1).fit(x.numpy(), y.numpy()).predict(asked.numpy())
    assert ours.argmax(1).tolist() == theirs.tolist()
    assert ours.sum(1).tolist() == [1] * 50


def test_a_linear_probe_gives_probabilities_also_for_classes_it_never_saw(cloud):
    x, y = cloud
    answers = leaks.linear_probe(x[y < 2], y[y < 2], 3)(x)
    assert answers.sum(1).numpy() == pytest.approx(1, abs=1e-5)
    assert answers[:, 2].max() == 0
    assert leaks.percent_right(answers[y < 2], y[y < 2]) == 100


def test_a_linear_probe_standardises_by_its_own_images(cloud):
    """A unit of measurement changes nothing."""
    x, y = cloud
    a, b = leaks.linear_probe(x, y, 3)(x), leaks.linear_probe(1000 * x + 7, y, 3)(1000 * x + 7)
    assert torch.allclose(a, b, atol=1e-3)


def test_percent_right():
    answers = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    assert leaks.percent_right(answers, torch.tensor([0, 1, 1])) == pytest.approx(200 / 3)


def test_copies_leak_when_folds_are_random():
    rows = leaks.leak_by_copies(0, per_class=8, exact=30, near=50)
    scores = {(row["method"], row["split"], row["asked"]): row["accuracy"] for row in rows}
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


def test_a_price_is_measured_for_every_convention():
    scores = {row["convention"]: row["accuracy"] for row in experiment.price_as_it_is(0)}
    assert list(scores) == list(experiment.conventions())
    assert scores["0..255"] < scores["-1..1 (as trained)"] - 5


def test_fine_tuning_sees_the_convention_that_it_is_measured_with(monkeypatch):
    seen = {}

    def train(model, few, recipe, *, seed):
        assert isinstance(recipe.augment.parts[0], Augment)
        seen["training"] = recipe.augment.parts[1](scale(few.images), None)

    monkeypatch.setattr(experiment, "train", train)
    assert experiment.price_of_fine_tuning(0, "0..255")["what"] == "fine-tuned"
    assert torch.allclose(seen["training"], load("handwritten-photo").few(5, 0).images.float(), atol=1e-3)


def test_training_differs_in_the_augmentation_alone(monkeypatch, digits):
    calls = []
    monkeypatch.setattr(experiment, "train", lambda model, data, recipe, *, seed: calls.append((data, recipe, seed)))
    for name in experiment.NAMES:
        experiment.train_augmented(nn.Identity(), digits, 3, name)
    settings = ("epochs", "steps", "batch", "lr", "weight_decay")
    for name, (data, recipe, seed) in zip(experiment.NAMES, calls, strict=True):
        assert seed == 3
        assert all(getattr(recipe, setting) == getattr(Recipe(), setting) for setting in settings)
        batches = data.batches(recipe.batch, steps=recipe.steps, transform=recipe.augment, seed=3)
        assert isinstance(batches, MixedBatches) is (name in experiment.MIXINGS)
        assert len(batches) == Recipe().steps


def test_no_augmentation_is_none(digits):
    batches = digits.batches(20, transform=experiment.VARIATIONS["none"], seed=1)
    plain = digits.batches(20, seed=1)
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(batches, plain, strict=True))


def test_an_unknown_augmentation_is_refused():
    with pytest.raises(ValueError, match=r"'blur' is not an augmentation\. Expected one of: 'none', 'crop'"):
        experiment.worth_trial("blur", "scratch", 0)


def test_both_tables_have_every_cell_once():
    worth, prices = results("augmentation_worth"), results("normalisation_price")
    cells = itertools.product(experiment.NAMES, experiment.BEGINNINGS, range(10))
    assert sorted(zip(worth["augmentation"], worth["start"], worth["seed"], strict=True)) == sorted(cells)
    assert list(prices.columns) == ["what", "convention", "seed", "accuracy"]
    assert len(prices.drop_duplicates(["what", "convention", "seed"])) == len(prices) == 4 * 5 * 10
    assert set(prices["convention"]) == set(experiment.conventions())


def test_gains_are_over_none_of_the_same_start_and_seed():
    worth = results("augmentation_worth")
    gains = experiment.gains(worth.sample(frac=1, random_state=0))
    assert len(gains) == len(worth) - 20
    assert "none" not in set(gains["augmentation"])
    score = worth.set_index(["augmentation", "start", "seed"])["accuracy"]
    for row in gains.itertuples():
        expected = score[row.augmentation, row.start, row.seed] - score["none", row.start, row.seed]
        assert row.gain == pytest.approx(expected)


def test_a_table_of_worth_has_a_cell_for_every_start():
    first, *others = experiment.worth_table(results("augmentation_worth"))
    assert list(first) == ["augmentation", "scratch [95 % interval]", "fine-tuned [95 % interval]"]
    assert [first["augmentation"], *(row["augmentation"] for row in others)] == list(experiment.NAMES)
    assert str(first["scratch [95 % interval]"]) == "27.1 [24.9, 29.3]"


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
    assert readings.read_turned(Corner(), one, [0, -90])[:, 0].tolist() == [1, 0]
    assert readings.read_mirrored(Corner(), one).tolist() == [0]


def test_sixes_and_nines_swap_when_upside_down(digits):
    reader = pretrained("tiny_resnet", "digits")
    rows = readings.sixes_and_nines(reader, digits, [0, 180])
    percent = rows.set_index(["case", "angle"])["percent"]
    assert list(rows["case"].unique()) == [f"a {a} is read as {b}" for a, b in ((6, 6), (6, 9), (9, 9), (9, 6))]
    upright = readings.read_turned(reader, digits.subset(digits.labels == 6), [0])
    assert percent["a 6 is read as 6", 0] == pytest.approx(100 * (upright == 6).float().mean().item())
    assert percent["a 6 is read as 9", 180] > percent["a 6 is read as 9", 0]


def test_a_three_does_not_survive_the_mirror(digits):
    table = readings.mirror_table(pretrained("tiny_resnet", "digits"), digits)
    assert table["digit"].tolist() == list(digits.classes)
    assert table["mirrored"][0] > table["mirrored"][3]


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
    assert inspection.pairs_found(findings[1:3], truth.pairs(truth.near)) == (0.5, 0.5)
    counts = inspection.recall_by_change(CleaningReport(findings, 9), truth).set_index("change")
    assert counts.loc["noisy"].tolist() == [1, 1]
    assert counts.loc["mirrored"].tolist() == [0, 1]


def test_inspection_changes_nothing_and_sees_every_image(digits, backbone):
    dirty, _ = plant_defects(digits, generator("dirt", 0), exact=5, near=6, blank=6, wrong=6)
    images, labels = dirty.images.clone(), dirty.labels.clone()
    report = inspection.inspect(dirty, inspection.out_of_sample(dirty, backbone))
    assert report.checked == len(dirty)
    assert torch.equal(dirty.images, images)
    assert torch.equal(dirty.labels, labels)
    assert len(report.which("exact duplicate")) == 5


def test_out_of_sample_probabilities_do_not_know_their_own_label(digits, backbone):
    falsified = digits.subset(torch.arange(len(digits)))
    falsified.labels[5] = (digits.labels[5] + 1) % 10
    wrong, right = int(falsified.labels[5]), int(digits.labels[5])
    unseen, seen = (probe(falsified, backbone)[5] for probe in (inspection.out_of_sample, inspection.in_sample))
    assert seen[wrong] > unseen[wrong]
    assert unseen[right] > seen[right]


def test_findings_are_shown_the_surest_first():
    findings = [Finding("blank", 1, "x", 0.2), Finding("wrong label", 3, "y", 1), Finding("blank", 2, "z", 0.9)]
    assert [f.which for f in inspection.surest(CleaningReport(tuple(findings), 5), "blank")] == [2, 1]
    assert inspection.finding_table(findings[:1]).to_numpy().tolist() == [["blank", "1", "x", "0.20"]]


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


@pytest.mark.parametrize("trial", [peeking.peek_at_pixels, peeking.peek_at_channels])
def test_the_same_seed_gives_the_same(trial):
    first = trial(4)
    with seeded("elsewhere"):
        assert trial(4) == first
