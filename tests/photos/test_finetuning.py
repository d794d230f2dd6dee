"""From a folder to a measured classifier: every step against what it promises, and the whole on real photographs."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from tlcourse.data.transforms import Preprocessing
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import predict
from tlcourse.models.pretrained import pretrained
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.photos import memory
from tlcourse.photos.classifier import load_classifier
from tlcourse.photos.evaluation import Evaluation, careful_temperature
from tlcourse.photos.finetuning import Tuned, class_loss, fine_tune, set_statistics
from tlcourse.photos.image_folder import write_image_folder
from tlcourse.photos.inspection import inspect
from tlcourse.photos.memory import open_photos, read_for
from tlcourse.photos.networks import COURSE_PREPROCESSING, photo_network
from tlcourse.photos.photoset import PhotoSet
from tlcourse.photos.pipeline import train_on_photos
from tlcourse.photos.probe import cache_features, solve_photo_probe
from tlcourse.photos.read import PhotoError
from tlcourse.photos.recipe import RECIPES, PhotoRecipe, choose_recipe
from tlcourse.photos.scan import scan
from tlcourse.photos.splits import train_validation_test, with_classes
from tlcourse.photos.views import RandomView
from tlcourse.repro import seeded
from tlcourse.storage import save_tensors
from tlcourse.training.checkpoint import copy_weights
from tlcourse.transfer.heads import get_classifier

REAL = Path(os.environ.get("TLCOURSE_REAL_DATA", "not set"))
STILL = RandomView(smallest=1.0, stretch=1.0, mirror=False, light=0.0)
QUICK = PhotoRecipe(epochs=2, batchnorm="adapt", view=RandomView(smallest=0.7, mirror=False))


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """120 handwritten digits as a folder of photographs, and a hundred others."""
    root = tmp_path_factory.mktemp("digits")
    for name, split, count in (("train", "train", 12), ("test", "test", 10)):
        write_image_folder(load("handwritten-photo", split=split).few(count), root / name)
    return {name: inspect(scan(root / name), progress=False).photos for name in ("train", "test")}


@pytest.fixture(scope="module")
def parts(digits):
    return train_validation_test(digits["train"], digits["test"])


@pytest.fixture(scope="module")
def network():
    return photo_network("tiny_resnet", 10)


@pytest.fixture(scope="module")
def sources(parts):
    return [open_photos(part, COURSE_PREPROCESSING, progress=False) for part in (parts.train, parts.validation)]


# views and batches


def test_a_view_of_everything_is_the_image_itself_and_each_of_many_has_a_part_and_a_light_of_its_own():
    image = torch.randint(0, 256, (3, 20, 20), dtype=torch.uint8, generator=draws())
    with seeded("views"):
        assert torch.equal(STILL.transform(20)(image), image)
        turned = [torch.equal(replace(STILL, mirror=True).transform(20)(image), image.flip(2)) for _ in range(200)]
        lit = torch.stack([replace(STILL, light=0.4).transform(20)(image) for _ in range(20)])
        parts = torch.stack([replace(STILL, smallest=0.35).transform(20)(image) for _ in range(20)])
    assert 70 < sum(turned) < 130
    assert len(lit.unique(dim=0)) == 20
    assert len(parts.unique(dim=0)) > 10


@pytest.mark.parametrize(("resize", "crop"), [(32, 32), (40, 32), (38, 32), (41, 32), (64, 31)])
def test_photographs_in_memory_are_exactly_what_the_preprocessing_gives(tmp_path, resize, crop):
    pixels = np.random.default_rng(0)
    paths = []
    for i, size in enumerate([(50, 70), (71, 45), (64, 64), (33, 90)]):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(pixels.integers(0, 256, (*size, 3), dtype=np.uint8)).save(paths[-1])
    photos = PhotoSet(tuple(paths), torch.tensor([0, 1, 0, 1]), ("a", "b"), torch.arange(4))
    preprocessing = Preprocessing(resize, crop)
    expected = torch.stack([preprocessing.normalised(read_for(path, preprocessing)) for path in paths])
    memory = open_photos(photos, preprocessing, progress=False)
    disk = open_photos(photos, preprocessing, most_bytes=0, progress=False)
    assert memory.images is not None
    assert disk.images is None
    for source in (memory, disk):
        x, y = (torch.cat(part) for part in zip(*source.in_order(3), strict=True))
        assert torch.allclose(x, expected, atol=1e-6)
        assert y.tolist() == [0, 1, 0, 1] == source.labels.tolist()
        assert source.classes == ("a", "b")
        assert len(source) == 4


@pytest.mark.parametrize("most_bytes", [0, 10**9])
def test_every_photograph_is_seen_once_an_epoch_each_time_otherwise_and_the_same_for_a_seed(digits, most_bytes):
    photos = replace(digits["train"], labels=torch.arange(120), classes=tuple(map(str, range(120))))
    source = open_photos(photos, Preprocessing(36, 32), most_bytes=most_bytes, progress=False)
    before = torch.get_rng_state()
    batches = source.for_training(25, RandomView(), seed=3)
    epochs = [[torch.cat(part) for part in zip(*batches, strict=True)] for _ in range(2)]
    batches.set_epoch(0)
    again = list(batches)
    assert [len(x) for x, _ in again] == [24] * len(batches) == [24] * 5
    assert all(y.sort().values.tolist() == list(range(120)) for _, y in epochs)
    assert not torch.equal(epochs[0][1], epochs[1][1])
    assert torch.equal(torch.cat([x for x, _ in again]), epochs[0][0])
    assert not torch.equal(*(x[y.argsort()] for x, y in epochs))
    assert torch.equal(torch.get_rng_state(), before)
    other = open_photos(photos, Preprocessing(36, 32), most_bytes=10**9 - most_bytes, progress=False)
    assert torch.equal(next(iter(other.for_training(25, RandomView(), seed=3)))[0], again[0][0])


def test_a_photograph_that_broke_since_is_named(digits, tmp_path):
    (tmp_path / "gone.png").write_bytes(b"gone")
    photos = replace(digits["train"], paths=(tmp_path / "gone.png", *digits["train"].paths[1:]))
    with pytest.raises(PhotoError, match=r"gone\.png is not a picture"):
        list(open_photos(photos, COURSE_PREPROCESSING, most_bytes=0).in_order())


# networks


def test_networks_differ_in_nothing_but_the_head_and_the_same_seed_gives_the_same(tmp_path):
    letters = pretrained("tiny_resnet", "letters")
    path = save_tensors(tmp_path / "w.safetensors", letters.state_dict())
    first, again, other = (photo_network("tiny_resnet", 4, seed=s).model for s in (0, 0, 1))
    from_file = photo_network("tiny_resnet", 4, path).model
    assert torch.equal(first.block4.conv2.weight, letters.block4.conv2.weight)
    assert torch.equal(from_file.block4.conv2.weight, letters.block4.conv2.weight)
    assert torch.equal(first.head.weight, again.head.weight)
    assert not torch.equal(first.head.weight, other.head.weight)
    random = photo_network("tiny_resnet", 4, None).model
    assert not torch.equal(random.block4.conv2.weight, letters.block4.conv2.weight)
    model, preprocessing = photo_network("mobilenet_v2", 3, None, side=112)
    assert (preprocessing.resize, preprocessing.crop) == (116, 112)  # the share that is cropped away stays
    assert model.preprocessing == preprocessing


# parts


def test_parts_are_disjoint_and_near_duplicates_stay_together():
    labels = torch.arange(120) % 4
    groups = torch.arange(120) // 8 * 4 + labels  # two photographs of the same class a group
    photos = PhotoSet(tuple(Path(f"{i}.png") for i in range(120)), labels, tuple("abcd"), groups)
    parts = train_validation_test(photos, seed=5)
    paths = [path for part in (parts.train, parts.validation, parts.test) for path in part.paths]
    assert sorted(paths) == sorted(photos.paths)
    groups = [set(part.groups.tolist()) for part in (parts.train, parts.validation, parts.test)]
    assert len(set.union(*groups)) == sum(map(len, groups))
    assert parts.counts() == {"train": 80, "validation": 16, "test": 24}
    assert set(parts.validation.counts().values()) == {4}
    again, other = (train_validation_test(photos, seed=seed).test.paths for seed in (5, 6))
    assert again == parts.test.paths != other


def test_photographs_of_the_test_are_not_trained_on(digits, tmp_path):
    paths = list(digits["train"].paths)
    copy = tmp_path / "copy.png"
    copy.write_bytes(digits["test"].paths[0].read_bytes())
    with_copy = replace(digits["train"], paths=(copy, *paths[1:]), thumbnails=None)
    parts = train_validation_test(with_copy, digits["test"])
    assert parts.left_out == (copy,)
    assert copy not in parts.train.paths + parts.validation.paths
    assert len(parts.train) + len(parts.validation) == len(paths) - 1
    assert train_validation_test(digits["train"], digits["test"]).left_out == ()


def photos_of(labels, classes):
    return PhotoSet(
        tuple(map(Path, "abcdefgh"[: len(labels)])), torch.tensor(labels), classes, torch.arange(len(labels))
    )


NOTHING = photos_of([0], ("a",)).subset(torch.zeros(0, dtype=torch.int64))


def test_classes_of_the_test_are_found_by_name_and_not_by_number():
    assert with_classes(photos_of([0, 1], ("b", "c")), ("a", "b", "c")).labels.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        *(
            (lambda wrong=wrong: RandomView(**wrong), "Expected a share above 0")
            for wrong in ({"smallest": 0}, {"smallest": 1.1}, {"stretch": 0.5}, {"light": -1}, {"light": 2})
        ),
        (lambda: open_photos(NOTHING, COURSE_PREPROCESSING), "is empty, but at least one photograph"),
        (lambda: photo_network("small_cnn", 3, None, side=64), "Expected 32 x 32"),
        (lambda: photo_network("mobilenetv2", 3), r"no network 'mobilenetv2'\. Did you mean 'mobilenet_v2'"),
        (
            lambda: with_classes(photos_of([0, 1], ("b", "c")), ("a", "b")),
            "photographs: the classes 'c' are not among those to learn from",
        ),
        (
            lambda: train_validation_test(photos_of([0] * 5 + [1] * 2, ("many", "few"))),
            r"too few different photographs in 'few' \(2\)",
        ),
        (lambda: train_validation_test(photos_of([0] * 3, ("one",))), "1 classes were found"),
        (lambda: set_statistics(None, "freeze"), "Expected 'adapt' or 'keep'"),
    ],
)
def test_what_cannot_be_is_refused(ask, message):
    with pytest.raises(ValueError, match=message):
        ask()


# the training


def test_every_class_counts_the_same_in_the_loss():
    labels = torch.tensor([0, 0, 0, 1])
    scores = torch.randn(4, 2, generator=draws())
    each = F.cross_entropy(scores, labels, reduction="none")
    expected = (each[:3].mean() + each[3]) / 2
    assert class_loss(labels, 2, 0.0)(scores, labels).item() == pytest.approx(expected.item())
    even = torch.tensor([0, 1, 0, 1])
    assert class_loss(even, 2, 0.1)(scores, even) == F.cross_entropy(scores, even, label_smoothing=0.1)


def test_fine_tuning_starts_at_the_probe_moves_all_and_is_the_same_for_a_seed(sources):
    train, validation = sources
    ends = []
    for seed in (0, 0, 1):
        model = photo_network("tiny_resnet", 10).model
        probe = solve_photo_probe(cache_features(model, train), cache_features(model, validation), 10)
        before = copy_weights(model)
        history = fine_tune(model, train, validation, QUICK, probe=probe, seed=seed, device="cpu", progress=False)
        ends.append(copy_weights(model))
        assert len(history) == 2
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in before)
    assert any(not torch.equal(ends[0][name], ends[2][name]) for name in before)
    assert not torch.equal(ends[0]["stem.0.weight"], before["stem.0.weight"])
    assert not torch.equal(ends[0]["stem.1.running_mean"], before["stem.1.running_mean"])
    start = probe.probe.weight.float()
    assert F.cosine_similarity(ends[0]["head.weight"].flatten(), start.flatten(), dim=0) > 0.9


def test_what_dropout_draws_depends_on_the_seed_and_on_nothing_that_ran_before(parts):
    ends = []
    for before, seed in ((0, 0), (1, 0), (0, 1)):
        model, preprocessing = photo_network("mobilenet_v2", 10, None, side=32)
        few = open_photos(parts.train.few(2), preprocessing, progress=False)
        torch.manual_seed(before)
        fine_tune(model, few, few, replace(QUICK, epochs=1), seed=seed, device="cpu", progress=False)
        ends.append(model.head.weight.clone())
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])


def test_the_weights_of_the_best_epoch_are_taken_and_statistics_that_are_kept_do_not_move(sources):
    train, validation = sources
    model = photo_network("tiny_resnet", 10).model
    before = copy_weights(model)
    recipe = replace(QUICK, lr=0.02, batchnorm="keep")
    history = fine_tune(model, train, validation, recipe, device="cpu", progress=False)
    loss = class_loss(train.labels, 10, recipe.smoothing)(
        predict(model, validation.in_order()), validation.labels
    ).item()
    assert loss == pytest.approx(min(history.validation_loss), abs=1e-4)
    assert torch.equal(model.stem[1].running_mean, before["stem.1.running_mean"])
    assert not torch.equal(model.stem[0].weight, before["stem.0.weight"])


def test_few_right_answers_do_not_make_certain():
    scores = 2 * F.one_hot(torch.arange(12) % 3, 3).float()
    labels = torch.arange(12) % 3
    sure = (scores / careful_temperature(scores, labels)).softmax(1).max(1)[0].mean()
    assert 0.9 < sure < 1 - 1 / 30
    many, many_labels = scores.repeat(100, 1), labels.repeat(100)
    assert careful_temperature(many, many_labels) < careful_temperature(scores, labels)


# low-rank changes


def lora(model, sources, **changes):
    probe = solve_photo_probe(*(cache_features(model, source) for source in sources), 10)
    recipe = replace(RECIPES["lora"], **{"epochs": 2, "view": QUICK.view} | changes)
    return fine_tune(model, *sources, recipe, probe=probe, device="cpu", progress=False)


def test_low_rank_changes_have_their_rank_and_leave_the_statistics_alone(sources):
    model, plain = (photo_network("tiny_resnet", 10).model for _ in range(2))
    before, structure = copy_weights(model), repr(model)
    lora(model, sources, rank=2, lr=0.02)
    assert repr(model) == structure  # merged: as plain as before
    after = copy_weights(model)
    assert list(after) == list(before)
    moved = {name for name in before if not torch.equal(after[name], before[name])}
    layers = {name for name, layer in model.named_modules() if isinstance(layer, torch.nn.Conv2d)}
    norms = {name for name, layer in model.named_modules() if isinstance(layer, torch.nn.BatchNorm2d)}
    small = {f"{name}.{part}" for name in norms for part in ("weight", "bias")}
    assert moved == {f"{name}.weight" for name in layers} | small | {"head.weight", "head.bias"}
    for name in layers:
        difference = (after[f"{name}.weight"] - before[f"{name}.weight"]).flatten(1)
        strengths = torch.linalg.svdvals(difference)
        assert (strengths > 1e-4 * strengths[0]).sum() <= 2
    assert all(parameter.requires_grad for parameter in model.parameters())
    plain.load_state_dict(after)
    x = next(iter(sources[1].in_order()))[0]
    assert torch.equal(predict(plain, [(x, torch.zeros(len(x)))]), predict(model, [(x, torch.zeros(len(x)))]))


def test_low_rank_changes_are_the_same_for_a_seed_and_a_full_training_after_them_moves_everything(sources):
    ends = []
    for _ in range(2):
        model = photo_network("tiny_resnet", 10).model
        lora(model, sources)
        ends.append(copy_weights(model))
    assert all(torch.equal(tensor, ends[1][name]) for name, tensor in ends[0].items())
    fine_tune(model, *sources, QUICK, device="cpu", progress=False)
    same = [name for name, tensor in model.state_dict().items() if torch.equal(tensor, ends[0][name])]
    assert not same


# the recipe


@pytest.mark.parametrize(
    ("wanted", "mistakes", "name"),
    [("auto", 4, "gentle"), ("auto", 5, "full"), ("full", 0, "full"), ("gentle", 90, "gentle")],
)
def test_the_mistakes_of_the_probe_choose_the_recipe_unless_somebody_else_does(wanted, mistakes, name):
    recipe = choose_recipe(wanted, mistakes, epochs=3)
    assert recipe.name == name
    assert recipe.epochs == 3
    assert recipe.lr == (1e-4 if name == "gentle" else 1e-3)
    with pytest.raises(ValueError, match=r"the recipe is 'brave'\. Expected one of: 'auto', 'full', 'gentle'"):
        choose_recipe("brave", 50)


# the evaluation


def test_an_evaluation_agrees_with_its_formulas():
    labels = torch.tensor([0] * 8 + [1] * 2)
    scores = torch.zeros(10, 3)
    scores[:, 0] = 2.0
    scores[9] = torch.tensor([0.0, 3.0, 0.0])
    found = Evaluation(scores / 2, labels, ("a", "b", "c"))
    assert found.accuracy.mean == 90
    assert found.balanced_accuracy == pytest.approx(75)  # (1 + 1/2) / 2; the class without photographs does not count
    assert found.confusion.tolist() == [[8, 0, 0], [1, 1, 0], [0, 0, 0]]
    assert found.mistakes().tolist() == [8]
    assert torch.equal(found.logits, scores / 2)
    assert "90.0 [" in str(found)
    assert set(found.metrics()) >= {"balanced accuracy in %"}


@pytest.mark.parametrize(("temperature", "said"), [(3.0, "did not lower"), (0.5, "lowered")])
def test_it_says_whether_the_temperature_helped(temperature, said):
    """Nine of ten right, where 88 % are claimed without a temperature and 98 % at a temperature of 0.5."""
    labels = torch.tensor([0] * 9 + [1])
    scores = torch.tensor([2.0, 0.0]).repeat(10, 1) / (1 if temperature > 1 else 2.5)
    found = Evaluation(scores / temperature, labels, ("a", "b"), temperature)
    assert (found.reliability.error > found.error_before) is (said == "did not lower")
    assert f"the temperature of {temperature:.2f} {said} it: without it, {found.error_before:.1f}" in str(found)
    assert found.metrics()["calibration error without the temperature"] == found.error_before


# all of it


def train(photos, test, recipe="full", **changes):
    changes = {"epochs": 2, "view": QUICK.view} | changes
    options = {"device": "cpu", "progress": False, "recipe": recipe, "changes": changes}
    return train_on_photos(photos, "tiny_resnet", test=test, **options)


@pytest.fixture(scope="module")
def trained(digits):
    return train(digits["train"], digits["test"])


def test_the_whole_way_and_back(trained, digits, tmp_path):
    assert trained.evaluation.accuracy.mean > 40  # a tenth is chance
    assert set(trained.seconds) == {"network", "reading", "probe", "fine-tuning", "test"}
    classifier = load_classifier(trained.save(tmp_path / "model", "<p>report</p>"))
    assert classifier.card.counts == trained.parts.counts()
    found = classifier.logits(digits["test"].paths) / classifier.temperature
    assert torch.allclose(found, trained.evaluation.logits, atol=1e-4)
    assert classifier.card.training["what was kept"] in classifier.card.to_markdown()


def test_for_a_probe_every_photograph_is_read_once_and_goes_through_the_network_once(digits, monkeypatch):
    read, seen = [], []
    open_one, ask = memory.open_photo, TinyResNet.forward_features
    monkeypatch.setattr(memory, "open_photo", lambda path, **how: read.append(path) or open_one(path, **how))
    monkeypatch.setattr(TinyResNet, "forward_features", lambda model, x: seen.append(len(x)) or ask(model, x))
    options = {"test": digits["test"], "probe_only": True, "device": "cpu", "progress": False}
    parts = train_on_photos(digits["train"], "tiny_resnet", **options).parts
    assert sorted(read) == sorted(parts.train.paths + parts.validation.paths + parts.test.paths)
    assert sum(seen) == len(read)


def test_low_rank_changes_are_saved_as_a_plain_classifier(digits, tmp_path, monkeypatch):
    monkeypatch.setattr(Tuned, "kept", "fine-tuned")
    result = train(digits["train"], digits["test"], recipe="lora")
    words = result.in_words()
    assert words["what was kept"].startswith("the head and low-rank changes of all layers (LoRA, rank 16), fine-tuned")
    assert words["recipe"].startswith("LoRA recipe: 2 epochs")
    found = load_classifier(result.save(tmp_path / "model")).logits(digits["test"].paths)
    assert torch.allclose(found / result.temperature, result.evaluation.logits, atol=1e-4)


def test_the_test_photographs_change_nothing_that_is_learned(trained, digits):
    again = train(digits["train"], digits["test"].subset(torch.arange(0, 100, 2)))
    ours, theirs = trained.model.state_dict(), again.model.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert again.temperature == trained.temperature


def test_a_fine_tuning_that_harms_is_taken_back_and_told_as_dropped(digits):
    result = train(digits["train"], digits["test"], epochs=1, lr=1.0)
    tuned, words = result.tuned, result.in_words()
    assert tuned.kept == "linear probe"
    assert torch.equal(get_classifier(result.model).weight.double(), result.probe.probe.weight.float().double())
    assert tuned.loss > tuned.probe_loss
    assert words["what was kept"] == "the linear probe on the frozen network"
    assert "1 epochs, batches of 16, rate up to 1" in words["tried and dropped"]
    assert not {"recipe", "label smoothing", "epoch that was kept", "mirrored"} & set(words)
    assert str(tuned).startswith("kept: linear probe. On validation, fine-tuning came to")
    assert f"linear probe to {tuned.probe.validation_accuracy:.1f} %" in str(tuned)


def test_what_was_kept_is_told_with_its_recipe(trained):
    tuned = replace(trained.tuned, loss=0.1, probe_loss=0.2)
    words = tuned.in_words()
    assert tuned.kept == "fine-tuned"
    assert "2 epochs, batches of 16, rate up to 0.001, 0.9 of it per stage" in words["recipe"]
    assert words["epoch that was kept"].startswith(f"number {tuned.history.best_epoch + 1},")
    assert words["label smoothing"] == "0.1"
    assert words["mirrored"] == "no"
    assert "tried and dropped" not in words


# on real photographs


@pytest.mark.skipif(not REAL.is_dir(), reason="TLCOURSE_REAL_DATA names no folder of real photographs")
@pytest.mark.parametrize(("folder", "side", "name"), [("groceries/train", 160, "gentle"), ("sign_digits", 96, "full")])
def test_on_real_photographs_the_probe_asks_for_the_recipe_that_suits_them(folder, side, name):
    """Fruit is near to ImageNet, hands are far from it; small pictures and few epochs keep this short."""
    photos = inspect(scan(REAL / folder), progress=False).photos
    changes = {"epochs": 1, "view": RandomView(mirror=False)}
    weights = REAL / "imagenet_weights" / "mobilenet_v2.pth"
    result = train_on_photos(photos.few(20), weights=weights, side=side, changes=changes, progress=False)
    assert result.tuned.recipe.name == name
    assert result.evaluation.accuracy.mean > (60 if name == "gentle" else 30)
    assert result.in_words()
