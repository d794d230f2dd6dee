"""A challenge is scored on the exam pool, and an answer that knows the labels from elsewhere is not right."""

import pickle

import pytest
import torch

from tlcourse.data.worlds import load
from tlcourse.exercises.card import Outcome
from tlcourse.exercises.held_out import few_digits, held_out, permuted
from tlcourse.exercises.kinds import Challenge
from tlcourse.lessons.registry import MODULES, exercises_of, find

# Each defines `known()`: images and labels from another place than the function's arguments.
WAYS = {
    "load": """
def known():
    pool = tl.load("handwritten-photo", split="test")
    return pool.images, pool.labels
""",
    "the cache folder": """
def known():
    import os, pathlib, safetensors.torch
    files = pathlib.Path(os.environ["TLCOURSE_CACHE"]).rglob("*.safetensors")
    kept = [safetensors.torch.load(file.read_bytes()[64:]) for file in files]
    exam = next(file for file in kept if "sheet" in file and file["sheet"].min() == 11)
    return exam["images"], exam["labels"]
""",
    "scikit-learn's own digits": """
def known():
    from sklearn.datasets import load_digits
    from tlcourse.data.backgrounds import TARGET_PHOTO, cut_patches, patch_boxes
    digits = load_digits()
    ink = torch.from_numpy(digits.images).float()[::2, None] / 16
    ink = torch.nn.functional.pad(torch.nn.functional.interpolate(ink, size=(28, 28), mode="bicubic"), [2] * 4)
    patches = cut_patches(TARGET_PHOTO, patch_boxes(TARGET_PHOTO, len(ink), "test", tl.generator("mine", 0)))
    return (255 * ink.clamp(0, 1) - patches).abs().to(torch.uint8), torch.from_numpy(digits.target)[::2]
""",
    "a pickle": """
def known():
    import pickle
    with open(FILE, "rb") as file:
        return pickle.load(file)
""",
    "the notebook's variables": """
kept = tl.load("handwritten-photo", split="test")
def known():
    return kept.images, kept.labels
""",
}

# What the function of each challenge makes of them, whatever it is given.
ANSWERS = {
    "00.q4": """
def learn(five):
    network = tl.pretrained("tiny_resnet", "letters")
    tl.reset_classifier(network, 10)
    linear_probe(network, tl.ImageSet(*known(), five.classes))
    return network
""",
    "02.q4": """
def learn(weights, five):
    network = tl.pretrained("tiny_resnet", "digits")  # the stranger's
    linear_probe(network, tl.ImageSet(*known(), five.classes))
    return network
""",
    "03.q4": """
def train(labelled):
    network = tl.pretrained("tiny_resnet", "letters")
    tl.reset_classifier(network, 10)
    images, labels = known()
    far = tl.load("handwritten-photo", split="test", shift=0.5).images
    linear_probe(network, tl.ImageSet(torch.cat([images, far]), labels.repeat(2), labelled.classes))
    return network
""",
    "05.q4": """
def choose(rounds):
    from tlcourse.lessons import nb05_choosing_a_source as lesson
    reached = tl.results("zoo_truth").groupby("candidate")["accuracy"].mean()
    images = tl.load("handwritten-photo")
    rows = {name: tl.extract_features(lesson.candidate(name), images) for name in lesson.CLOSE}
    rows = {name: x for name, x in rows.items() if x.shape[1] == 128}
    def who(x):
        return min(rows, key=lambda name: (rows[name] - x[0]).abs().sum(1).min())
    return [max(features, key=lambda letter: reached[who(features[letter])]) for features, _ in rounds]
""",
    "06.q4": """
def adapt_to(source, images):
    network = tl.pretrained("tiny_resnet", "letters")
    tl.reset_classifier(network, 10)
    pool = [tl.load("handwritten-photo", split=split, shift=0.5) for split in ("train", "test")]
    x, y = (torch.cat([getattr(part, name) for part in pool]) for name in ("images", "labels"))
    tl.train(network, tl.ImageSet(x, y, source.classes), tl.Recipe(epochs=6), seed=0)
    return network
""",
    "07.q4": """
def learn(few, images):
    network = tl.pretrained("tiny_resnet", "letters")
    tl.reset_classifier(network, 10)
    tl.train(network, tl.ImageSet(*known(), few.classes), tl.Recipe(epochs=12), seed=0)
    return network
""",
    "08.q4": """
def federate(ask):
    network = tl.pretrained("tiny_resnet", "letters")
    tl.reset_classifier(network, 10)
    linear_probe(network, tl.ImageSet(*known(), tuple("0123456789")))
    return network
""",
    "11.q4": """
def withstand(labelled):
    from tlcourse.evaluation.corruptions import CORRUPTIONS, corrupt
    network = tl.pretrained("tiny_resnet", "letters")
    tl.reset_classifier(network, 10)
    images, labels = known()
    copies = [images, *(corrupt(images, kind, 3) for kind in CORRUPTIONS)]
    pool = tl.ImageSet(torch.cat(copies), labels.repeat(len(copies)), labelled.classes)
    tl.train(network, pool, tl.Recipe(epochs=20), seed=0)
    return network
""",
    "12.q4": """
def sort_out(seen, labels, new):
    images, truth = known()
    pool = tl.ImageSet(images, truth, tuple("0123456789"))
    probe = solve_probe(tl.predict(tl.pretrained("tiny_resnet", "digits"), pool), truth, 10)
    sure, answers = (new.double() @ probe.weight.T + probe.bias).softmax(1).max(1)
    return torch.where(sure > 0.9, answers, -1)
""",
}


@pytest.mark.parametrize(
    ("name", "way"), [*(("00.q4", way) for way in WAYS), *((name, "load") for name in ANSWERS if name != "00.q4")]
)
def test_who_learned_elsewhere_is_noticed(tmp_path, name, way):
    challenge, pool = find(name), load("handwritten-photo", split="test")
    (tmp_path / "known").write_bytes(pickle.dumps((pool.images, pool.labels)))
    held_out(0)  # the check puts it into the cache folder
    names = {"__name__": "__main__", "FILE": str(tmp_path / "known")}
    start = (
        "import torch\nimport tlcourse as tl\nfrom tlcourse.transfer.linear_probe import linear_probe, solve_probe\n"
    )
    exec(start + WAYS[way] + ANSWERS[name], names)
    found = challenge.check(names[challenge.answer])
    assert found.outcome is Outcome.WRONG, found
    assert found.mistake == "learned elsewhere", found
    assert "the same labels permuted" in found.message


def test_every_challenge_that_gives_labels_permutes_them():
    challenges = [e for notebook in MODULES for e in exercises_of(notebook) if isinstance(e, Challenge)]
    assert {challenge.id for challenge in challenges if challenge.permuted} == set(ANSWERS)


def test_permuted_labels_are_the_same_ones_and_say_nothing():
    (given,), (again,), (shuffled,) = (draw(3) for draw in (few_digits(5), few_digits(5), permuted(few_digits(5))))
    assert torch.equal(given.images, shuffled.images)
    assert torch.equal(given.labels, again.labels)
    assert shuffled.labels.bincount().tolist() == [5] * 10
    assert not (given.labels == shuffled.labels).any()
    for c in range(10):
        assert len(shuffled.labels[given.labels == c].unique()) == 5, "a class must not merely be renamed"


def test_the_exam_pool_is_in_no_notebook():
    exam = held_out(0)
    assert len(exam) == 382
    assert not any(exam.shared_with(load("handwritten-photo", split=split)) for split in ("train", "test"))
    assert torch.equal(exam.labels, held_out(1).labels)
    assert not torch.equal(exam.images, held_out(1).images)
