"""`tlcourse finetune --unlabelled`: what photographs without labels do, that no label of them is read, what harms."""

import os
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pictures import picture as any_picture

from tlcourse.cli import main
from tlcourse.data.worlds import load
from tlcourse.photos.beside import fine_tune_beside
from tlcourse.photos.classifier import load_classifier
from tlcourse.photos.consistency import BATCH, Consistency, lengthened
from tlcourse.photos.finetuning import class_loss
from tlcourse.photos.image_folder import write_image_folder
from tlcourse.photos.inspection import inspect
from tlcourse.photos.memory import open_photos
from tlcourse.photos.networks import photo_network
from tlcourse.photos.pipeline import probe_photos, train_on_photos
from tlcourse.photos.probe import CachedFeatures, answers_of, cross_validated_probe
from tlcourse.photos.pseudo_labels import cross_validated, self_trained
from tlcourse.photos.read import open_photo
from tlcourse.photos.recipe import PhotoRecipe
from tlcourse.photos.scan import scan, scan_unlabelled
from tlcourse.photos.unlabelled import Unlabelled, Worth, apart_from
from tlcourse.photos.views import RandomView
from tlcourse.training.checkpoint import copy_weights
from tlcourse.transfer.linear_probe import solve_probe

REAL = Path(os.environ.get("TLCOURSE_REAL_DATA", "not set"))
CLASSES = 4
VIEW = RandomView(smallest=0.7, mirror=False)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Four handwritten digits: few with labels, many without, a test; and pictures of nothing."""
    root = tmp_path_factory.mktemp("photos")
    pool = load("handwritten-photo")
    few = pool.few(8)
    write_image_folder(few.subset(few.labels < CLASSES), root / "labelled")
    many = pool.few(30, seed=1)
    write_image_folder(many.subset(many.labels < CLASSES), root / "same")
    test = load("handwritten-photo", split="test").few(10)
    write_image_folder(test.subset(test.labels < CLASSES), root / "test")
    (root / "foreign").mkdir()
    for number in range(60):
        any_picture(number).save(root / "foreign" / f"{number}.png")
    return root


def photos_of(folder, labelled=True):
    found = scan(folder) if labelled else scan_unlabelled(folder)
    return inspect(found, at_least=1, progress=False).photos


def finetune(folders, out, *more, unlabelled="same"):
    words = ["finetune", str(folders / "labelled"), "--test", str(folders / "test"), "--backbone", "tiny_resnet"]
    words += ["--device", "cpu", "--no-mirror", "--unlabelled", str(folders / unlabelled), "--out", str(out)]
    return main([*words, *map(str, more)])


# pseudo-labels on features


def clouds(n, seed, apart=2.0):
    """Points of three classes around corners of a triangle, in two of six directions."""
    draws = torch.Generator().manual_seed(seed)
    corners = apart * torch.tensor([[1.0, 0.0], [-0.5, 0.9], [-0.5, -0.9]])
    labels = torch.arange(n) % 3
    return CachedFeatures(
        torch.cat([corners[labels], torch.zeros(n, 4)], 1) + torch.randn(n, 6, generator=draws), labels
    )


def right(probe, known):
    return (answers_of(probe, known.features).argmax(1) == known.labels).double().mean().item()


def test_more_points_of_the_same_clouds_help_and_points_elsewhere_harm():
    known, unknown, asked = clouds(6, 1), clouds(300, 2), clouds(900, 3)
    alone = solve_probe(*known, 3, 1.0, balanced=True, size=known.features.std().item())
    beside, learned = self_trained(known, unknown.features, alone, 3, 1.0)
    assert right(beside, asked) > right(alone, asked) + 0.1
    counts = [int(((answers_of(beside, unknown.features).argmax(1) == c) & (learned >= 0)).sum()) for c in range(3)]
    assert sum(counts) == int((learned >= 0).sum()) == pytest.approx(0.8 * 300, abs=3)  # the last round's share
    wide = torch.tensor([0.5, 0.5, 6, 6, 6, 6])  # where the classes do not differ
    elsewhere = torch.randn(300, 6, generator=torch.Generator().manual_seed(4)) * wide
    harmed, _ = self_trained(known, elsewhere, alone, 3, 1.0)
    assert right(harmed, asked) < right(alone, asked) - 0.1


def test_a_held_out_photograph_has_no_part_in_its_own_answer():
    """With labels shuffled, heads that saw a photograph would still answer it rightly; these fall to chance."""
    known = clouds(90, 1)
    shuffled = known._replace(labels=known.labels[torch.randperm(90, generator=torch.Generator().manual_seed(0))])
    unknown = clouds(60, 2).features
    hits = []
    for one in (known, shuffled):
        probe = cross_validated_probe(one, torch.arange(90), 3, penalties=(1.0,))
        answers = cross_validated(probe, unknown, 3).argmax(1)
        hits.append((answers == probe.asked.labels).double().mean().item())
    assert hits[0] > 0.8
    assert hits[1] < 0.5


# what they were worth


def worth(without, beside, labels, count=5):
    """A result by answers and how sure they are, two classes."""

    def logits(answers):
        return torch.tensor([[-sure, sure] if answer else [sure, -sure] for answer, sure in answers])

    used = Unlabelled(type("Photos", (), {"__len__": lambda photos: count})(), ())
    learned = torch.tensor([0, 1, 1, -1, -1])
    said = ("pseudo-labels", "4 photographs", torch.tensor(labels), logits(without), logits(beside))
    return Worth(used, ("cat", "dog"), *said, learned, torch.ones(5))


GOOD, BAD, UNSURE = [(0, 2.0), (1, 2.0), (0, 2.0), (1, 2.0)], [(1, 2.0), (1, 2.0), (0, 2.0), (1, 2.0)], [(1, 0.1)]
RIGHT = [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("without", "beside", "kept", "said"),
    [
        (BAD, GOOD, True, "Kept: the classifier that also learned .* That they help is open"),
        (GOOD, BAD, False, "Fell back .* with them, fewer are right and the loss is no lower"),
        (GOOD, GOOD, False, "Fell back .* with them, the loss is no lower"),
    ],
)
def test_what_is_kept_and_what_is_said_of_it(without, beside, kept, said):
    found = worth(without, beside, RIGHT)
    assert found.kept is kept
    lines = found.in_lines()
    assert re.match(said, lines[0])
    assert "a little too good" in lines[2]
    assert "The test photographs had no part in it" in lines[2]
    assert lines[3] == "Of 5 photographs, 3 were learned from: cat 1, dog 2."
    assert next(iter(found.in_words())).startswith("learned from" if kept else "tried and dropped")


def test_a_lower_loss_with_fewer_right_is_not_kept():
    sure_and_wrong = [(1, 3.0), (1, 0.3), (0, 0.3), (1, 0.3)]
    barely_wrong = [(1, 0.1), (1, 3.0), (0, 3.0), (0, 0.1)]
    found = worth(sure_and_wrong, barely_wrong, RIGHT)
    assert found.losses[1] < found.losses[0]
    assert not found.kept
    assert "fewer are right." in found.in_lines()[0]


def test_the_difference_is_that_of_pairs():
    found = worth(BAD, GOOD, RIGHT).difference
    pairs = np.array([100, 0, 0, 0])
    reach = 3.182 * pairs.std(ddof=1) / 2  # Student's t of 4 values
    assert (found.mean, found.low, found.high) == pytest.approx((25, 25 - reach, 25 + reach), abs=0.05)


def test_many_corrected_photographs_are_no_longer_open():
    found = worth([(1, 1.0)] * 8 + [(0, 1.0)] * 4, [(0, 1.0)] * 12, [0] * 12)
    assert found.difference.low > 0
    assert "open" not in found.in_lines()[0]


# consistency


@pytest.fixture(scope="module")
def sources(folders):
    """A network with its probe's head, and photographs to learn from, to choose by, and without labels."""
    model, preprocessing = photo_network("tiny_resnet", CLASSES, progress=False)
    parts = [*reversed(photos_of(folders / "labelled").split(0.25)), photos_of(folders / "same", labelled=False)]
    train, validation, unknown = (open_photos(part, preprocessing, progress=False) for part in parts)
    return model, train, validation, unknown, probe_photos(model, train, validation)


def test_a_batch_holds_labelled_ones_then_sure_answers_for_distorted_views(sources):
    model, train, _, unknown, _ = sources
    joined = Consistency(unknown, VIEW)
    batches = joined.batches(model, train.for_training(8, VIEW))
    assert len(batches) == 3
    (x, y), *_ = batches
    labelled, labels = next(iter(train.for_training(8, VIEW)))
    assert torch.equal(x[:8], labelled)
    assert torch.equal(y[:8].argmax(1), labels)
    assert x.shape[0] == y.shape[0] == 8 + BATCH
    sums = y[8:].sum(1)
    assert set(sums.tolist()) <= {0.0, 1.0}
    assert int(sums.sum()) > 0
    assert set(joined.answers.tolist()) <= {-1, *range(CLASSES)}


def test_the_teacher_follows_after_every_update_and_no_faster(sources):
    model, train, _, unknown, _ = sources
    joined = Consistency(unknown, VIEW)
    before = copy_weights(model)
    batches = iter(joined.batches(model, train.for_training(6, VIEW)))
    next(batches)
    next(batches)  # after the first update the teacher is the network, from then on it follows
    with torch.no_grad():
        model.head.bias += 1
    next(batches)
    moved = joined.teacher.teacher.module.head.bias - before["head.bias"]
    assert torch.allclose(moved, torch.full_like(moved, 0.01), atol=1e-5)
    model.load_state_dict(before)


def test_the_loss_is_that_of_the_labels_and_of_the_sure_answers(sources):
    draws = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(8 + BATCH, CLASSES, generator=draws), torch.arange(8) % CLASSES
    answers = F.one_hot(torch.arange(BATCH) % CLASSES, CLASSES).float()
    answers[::2] = 0  # not sure
    of_labels = class_loss(labels, CLASSES, 0.1)
    loss = Consistency(sources[3], VIEW).loss(of_labels)
    log = logits.double().log_softmax(1).numpy()
    expected = -sum(log[8 + i, i % CLASSES] for i in range(1, BATCH, 2)) / BATCH
    both = torch.cat([F.one_hot(labels, CLASSES).float(), answers])
    assert loss(logits, both).item() == pytest.approx(of_labels(logits[:8], labels).item() + expected, abs=1e-5)
    assert loss(logits[:8], labels) == of_labels(logits[:8], labels)  # as validation is asked


def test_a_training_is_lengthened_until_the_others_were_seen_and_no_further():
    recipe = PhotoRecipe(epochs=10, batch=16)
    assert lengthened(recipe, 32, 160).epochs == 50  # 100 batches of 16, two an epoch
    assert lengthened(recipe, 32, 100_000).epochs == 200  # 400 updates
    assert lengthened(recipe, 3200, 160) == recipe


@pytest.mark.parametrize("lr", [1e-4, 3.0])
def test_what_is_in_the_network_is_what_is_said_to_be_kept(sources, lr, monkeypatch):
    from tlcourse.photos import beside

    trained = []
    original = beside.fine_tune_or_keep

    def remembered(model, *arguments, **options):
        tuned = original(model, *arguments, **options)
        trained.append(copy_weights(model))
        return tuned

    monkeypatch.setattr(beside, "fine_tune_or_keep", remembered)
    model, train, validation, unknown, probe = sources
    start = copy_weights(model)
    recipe = PhotoRecipe(epochs=2, batch=16, lr=lr, view=VIEW)
    used = Unlabelled(unknown.photos, ())
    tuned, found = fine_tune_beside(
        model, train, validation, unknown, used, recipe, probe, device="cpu", progress=False
    )
    ours = trained[1 if found.kept else 0]
    assert all(torch.equal(value, ours[name]) for name, value in model.state_dict().items())
    assert found.kept or torch.equal(found.without, tuned.logits if tuned.kept == "fine-tuned" else probe.logits)
    assert len(tuned.history) == 2
    if lr > 1:
        assert not found.kept
    model.load_state_dict(start)


# the command


def weights_of(out):
    return load_classifier(out).model.state_dict()


@pytest.mark.parametrize("way", [["--probe-only"], ["--epochs", "1"], ["--epochs", "1", "--method", "lora"]])
def test_names_of_folders_and_files_change_nothing(folders, tmp_path, capsys, way):
    for number, path in enumerate(sorted((folders / "same").glob("*/*.png"), key=lambda path: path.read_bytes())):
        (tmp_path / "renamed" / "0123"[number % 4]).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "renamed" / "0123"[number % 4] / f"{number}.png")
    assert finetune(folders, tmp_path / "a", *way) == 0
    first = capsys.readouterr().out
    assert finetune(folders, tmp_path / "b", *way, unlabelled=tmp_path / "renamed") == 0
    second = capsys.readouterr().out
    assert "no label is read. Its 4 subfolders ('0', '1', '2' and more) are ignored." in first.splitlines()[0]
    ours, theirs = weights_of(tmp_path / "a"), weights_of(tmp_path / "b")
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    worth_of = [[line for line in said.splitlines() if "without them" in line] for said in (first, second)]
    assert worth_of[0] == worth_of[1] != []


def test_a_zip_is_as_good_as_a_folder_and_leaves_nothing_behind(folders, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        for path in sorted((folders / "same").glob("*/*.png")):
            archive.write(path, f"{path.parent.name}/{path.name}")
    assert finetune(folders, tmp_path / "a", "--probe-only") == 0
    assert finetune(folders, tmp_path / "b", "--probe-only", unlabelled=tmp_path / "more.zip") == 0
    ours, theirs = weights_of(tmp_path / "a"), weights_of(tmp_path / "b")
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert not list((tmp_path / "temporary").iterdir())


def test_other_things_are_dropped_and_the_classifier_is_the_one_without(folders, tmp_path, capsys):
    assert finetune(folders, tmp_path / "a", "--probe-only", unlabelled="foreign") == 0
    printed = capsys.readouterr().out
    assert "Fell back to the classifier that did not learn from the photographs without labels" in printed
    words = ["finetune", str(folders / "labelled"), "--test", str(folders / "test"), "--backbone", "tiny_resnet"]
    assert main([*words, "--probe-only", "--device", "cpu", "--out", str(tmp_path / "b")]) == 0
    ours, theirs = weights_of(tmp_path / "a"), weights_of(tmp_path / "b")
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert "tried and dropped, without labels" in load_classifier(tmp_path / "a").card.training
    page = (tmp_path / "a" / "report.html").read_text(encoding="utf-8")
    for expected in ("Photographs without labels", "Fell back to", "or is it why they did not help?"):
        assert expected in page


def test_more_of_the_same_is_kept_and_shown(folders, tmp_path, capsys):
    assert finetune(folders, tmp_path / "a", "--epochs", "20", "--recipe", "full") == 0
    printed = capsys.readouterr().out
    assert "Kept: the classifier that also learned from photographs without labels" in printed
    page = (tmp_path / "a" / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|<script|url\(", page)
    assert "is it what it was" in page
    card = load_classifier(tmp_path / "a").card
    assert re.match(r"\d+ photographs, by consistency", card.training["learned from without labels"])


def test_labelled_photographs_among_them_are_left_out_also_where_they_were_saved_again(folders, tmp_path):
    labelled, test = photos_of(folders / "labelled"), photos_of(folders / "test")
    place = tmp_path / "more"
    shutil.copytree(folders / "same", place)
    shutil.copy(labelled.paths[0], place / "copy.png")
    open_photo(labelled.paths[9]).save(place / "again.jpg", quality=90)
    open_photo(test.paths[3]).resize((64, 64)).save(place / "larger.png")
    given = photos_of(place, labelled=False)
    used = apart_from(given, [labelled, test])
    names = {path.name for path in used.left_out}
    assert {"copy.png", "again.jpg", "larger.png"} <= names
    assert len(used.photos) == len(given) - len(used.left_out)


def test_what_cannot_be_used_is_counted(folders, tmp_path, capsys):
    place = tmp_path / "more"
    shutil.copytree(folders / "same", place)
    (place / "broken.png").write_bytes(next(place.glob("0/*.png")).read_bytes()[:200])
    (place / "notes.txt").write_text("no picture")
    shutil.copy(next((folders / "test").glob("0/*.png")), place / "of the test.png")
    assert finetune(folders, tmp_path / "out", "--probe-only", unlabelled=place) == 0
    printed = capsys.readouterr().out
    for expected in ("photographs without labels will be used", "broken.png", "notes.txt", "1  corrupt file"):
        assert expected in printed
    assert re.search(r"not learned from, since .* labelled: .*of the test\.png", printed)


@pytest.mark.parametrize(
    ("unlabelled", "message"),
    [
        ("labelled", "FOLDER and --unlabelled are both"),
        ("labelled/1", "lie in one another"),
        (".", "lie in one another|lies in the folder of photographs"),
        ("test", "--test and --unlabelled are both"),
        ("nowhere", "nowhere does not exist"),
        ("EMPTY", "holds no file"),
        ("TEXTS", "of 0 usable photographs without labels"),
        ("COPIES", "of 32 usable photographs without labels, 32 are, or look like, labelled ones"),
        ("BROKEN.zip", "broken.zip does not exist|is not a whole zip|a folder was expected"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(folders, tmp_path, capsys, unlabelled, message):
    (tmp_path / "EMPTY").mkdir()
    (tmp_path / "TEXTS").mkdir()
    (tmp_path / "TEXTS" / "notes.txt").write_text("no picture")
    shutil.copytree(folders / "labelled", tmp_path / "COPIES")
    (tmp_path / "BROKEN.zip").write_bytes(b"PK\x03\x04 and no more")
    place = tmp_path / unlabelled if unlabelled.isupper() or unlabelled.endswith("zip") else folders / unlabelled
    assert finetune(folders, tmp_path / "out", "--probe-only", unlabelled=place) == 1
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


def test_in_a_folder_with_a_table_of_labels_the_rest_may_be_without_them(folders, tmp_path, capsys):
    shutil.copytree(folders / "same", tmp_path / "all")
    files = sorted((tmp_path / "all").glob("*/*.png"))[::3]
    rows = [f"{path.parent.name}/{path.name},{path.parent.name}" for path in files]
    (tmp_path / "all" / "labels.csv").write_text("\n".join(["file,label", *rows]), encoding="utf-8")
    words = ["finetune", str(tmp_path / "all"), "--csv", "labels.csv", "--unlabelled", str(tmp_path / "all")]
    words += ["--backbone", "tiny_resnet", "--device", "cpu", "--probe-only", "--out", str(tmp_path / "out")]
    assert main(words) == 0
    assert re.search(r"Of 80 photographs, \d+ were learned from", capsys.readouterr().out)


# on real photographs


@pytest.mark.skipif(not REAL.is_dir(), reason="TLCOURSE_REAL_DATA names no folder of real photographs")
def test_on_real_photographs_hands_are_no_groceries(tmp_path):
    files = photos_of(REAL / "groceries" / "train")
    hands = photos_of(REAL / "sign_digits", labelled=False)
    result = train_on_photos(
        files.few(4),
        weights=REAL / "imagenet_weights" / "mobilenet_v2.pth",
        unlabelled=hands.subset(torch.arange(0, len(hands), 4)),
        probe_only=True,
        side=96,
        progress=False,
        device="cpu",
    )
    assert not result.worth.kept
    assert result.worth.losses[1] > result.worth.losses[0]
