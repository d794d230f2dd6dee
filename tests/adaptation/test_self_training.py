"""Self-training: whom it chooses, what it learns from them, and that the updates are those of every other method."""

import pytest
import torch

from tests.adaptation.domains import FEW, network, source, target
from tests.weights import changed, copies
from tlcourse.adaptation import self_training
from tlcourse.adaptation.self_training import self_train, surest_of_each_class
from tlcourse.evaluation.predict import predict
from tlcourse.training.recipe import Recipe

EIGHT = Recipe(epochs=1, steps=9, batch=8, augment=None)
# of class 0, five images, surest first 4, 0, 2, 6, 5; of class 1, two, 1 and 3; no image of class 2
LOGITS = torch.tensor([[5, 0, 0], [0, 3, 0], [4, 0, 0], [0, 2, 0], [6, 0, 0], [1, 0, 0], [2, 0, 0]]).float()


@pytest.mark.parametrize(
    ("share", "chosen"),
    [
        (0.0, [1, 4]),  # the surest of each class at least
        (0.2, [1, 4]),
        (0.4, [0, 1, 4]),
        (0.5, [0, 1, 4]),  # 2.5 is rounded to the even 2
        (0.8, [0, 1, 2, 3, 4, 6]),
        (1.0, [0, 1, 2, 3, 4, 5, 6]),
    ],
)
def test_each_class_gives_its_share(share, chosen):
    assert surest_of_each_class(LOGITS, share).tolist() == chosen


def test_a_class_that_is_hard_keeps_its_share_where_one_threshold_would_end_it():
    easy, hard = torch.tensor([[9.0, 0]]).repeat(10, 1), torch.tensor([[0.0, 0.1]]).repeat(10, 1)
    chosen = surest_of_each_class(torch.cat([easy, hard]), 0.5)
    assert chosen.tolist() == [0, 1, 2, 3, 4, 10, 11, 12, 13, 14], "and of equals the first"


def rounds(monkeypatch, **options):
    """Train, and return what was given to the loop: for each round, its batches and the answers before it."""
    seen, plain = [], self_training.updates

    def watched(both, batches, *more, **settings):
        answers = predict(both.model, target()).argmax(1)
        batches = list(batches)
        seen.append((batches, answers))
        yield from plain(both, batches, *more, **settings)

    monkeypatch.setattr(self_training, "updates", watched)
    model = self_train(network(), source(), target().images, EIGHT, **options)
    return model, seen


def test_it_learns_its_own_answers_of_the_round_and_no_label(monkeypatch):
    _, seen = rounds(monkeypatch)
    place = {image.numpy().tobytes(): number for number, image in enumerate(target().images)}
    assert sum(len(batches) for batches, _ in seen) == EIGHT.updates
    assert [len(batches) for batches, _ in seen] == [2, 2, 2, 3]
    for batches, answers in seen:
        for x, y in batches:
            assert y.shape == (2, 8)
            for image, label in zip(x[8:], y[1], strict=True):
                number = place[((image + 1) * 127.5).round().to(torch.uint8).numpy().tobytes()]
                assert label == answers[number]


def test_every_seed_and_round_has_batches_of_its_own(monkeypatch):
    first = [x for seed in (0, 1) for batches, _ in rounds(monkeypatch, seed=seed)[1] for x, _ in batches[:1]]
    sources = {x[:8].numpy().tobytes() for x in first}
    assert len(sources) == 8, "two seeds of four rounds"


def test_without_weight_answers_teach_nothing():
    plain, elsewhere = (
        self_train(network(), source(), images, FEW, weight=0.0, shares=[0.5])
        for images in (target().images, 255 - target().images)
    )
    assert changed(plain, copies(elsewhere)) == {"norm.running_mean", "norm.running_var"}
    taught = self_train(network(), source(), target().images, FEW, shares=[0.5])
    assert {"conv.weight", "head.weight"} <= changed(taught, copies(plain))


def test_more_rounds_than_updates_are_refused():
    with pytest.raises(ValueError, match="Expected at least one of each"):
        self_train(network(), source(), target().images, FEW, shares=[0.5] * 5)
