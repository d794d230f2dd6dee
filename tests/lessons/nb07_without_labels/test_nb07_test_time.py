"""The streams of notebook 07, and what is measured of the answers to them."""

import pytest
import torch

from tests.adaptation.domains import network
from tests.adaptation.domains import target as coloured
from tests.weights import changed, copies
from tlcourse.lessons.nb07_without_labels import at_test_time
from tlcourse.lessons.nb07_without_labels.at_test_time import (
    BY_CLASS,
    MIXED,
    STATISTICS,
    STILL,
    TENT,
    batches_of,
    of_a_stream,
    shot_trial,
    stream,
    tent_trial,
)
from tlcourse.training.recipe import Recipe


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """Thirty small images and a tiny network in place of the digits."""
    monkeypatch.setattr(at_test_time, "digits_network", network)
    monkeypatch.setattr(at_test_time, "target", lambda shift, split="test": coloured(seed=len(split)))


def test_a_stream_has_every_image_once_in_an_order_that_the_seed_draws():
    data = coloured()
    for order in (MIXED, BY_CLASS):
        came = stream(data, order, seed=0)
        assert came.shared_with(data) == len(came) == len(data)
        assert torch.equal(came.images, stream(data, order, seed=0).images)
        assert not torch.equal(came.images, stream(data, order, seed=1).images)


def test_classes_come_one_after_the_other_in_a_drawn_turn_or_mixed():
    turns = {tuple(stream(coloured(), BY_CLASS, seed).labels.unique_consecutive().tolist()) for seed in range(8)}
    assert len(turns) > 1
    assert all(sorted(turn) == [0, 1, 2] for turn in turns)
    assert len(stream(coloured(), MIXED, 0).labels.unique_consecutive()) > 10


@pytest.mark.parametrize(("count", "size", "sizes"), [(509, 4, {4, 5}), (509, 200, {169, 170}), (10, 64, {10})])
def test_no_batch_is_left_with_a_few_images(count, size, sizes):
    batches = batches_of(torch.arange(count), size)
    assert torch.cat(batches).tolist() == list(range(count))
    assert {len(batch) for batch in batches} == sizes


@pytest.mark.parametrize(("method", "passes"), [(STILL, [1]), (STATISTICS, [1]), (TENT, [1, 3])])
def test_a_row_is_what_was_answered_in_its_pass(method, passes):
    rows = tent_trial(method, 0.0, MIXED, 10, 0, passes=(1, 3), lr=0.05)
    assert [row["passes"] for row in rows] == passes
    assert all(set(row) == {"passes", "accuracy", "answered", "entropy", "in_batch"} for row in rows)


def test_what_does_not_learn_answers_as_batch_statistics_do():
    given = (0.0, MIXED, 10, 0)
    alone = tent_trial(STATISTICS, *given)[0]
    still = tent_trial(TENT, *given, passes=(1, 4), lr=0.0)
    assert still == [{**alone, "passes": 1}, {**alone, "passes": 4}]
    assert tent_trial(STILL, *given)[0]["entropy"] != alone["entropy"]


def test_one_class_at_a_time_shows_in_the_batches_and_not_in_the_stream():
    given = [tent_trial(STILL, 0.0, order, 5, 0)[0] for order in (MIXED, BY_CLASS)]
    assert given[0]["answered"] == pytest.approx(given[1]["answered"])
    sure = 50 * torch.eye(3)
    rows = [of_a_stream(answers, torch.arange(3)) for answers in ([sure], sure.split(1))]
    assert [row["answered"] for row in rows] == pytest.approx([3, 3])
    assert [row["in_batch"] for row in rows] == pytest.approx([3, 1])
    assert rows[0]["accuracy"] == 100


def test_shot_sees_the_training_pool_and_is_measured_on_the_test_pool(monkeypatch):
    seen, plain = [], at_test_time.shot

    def watched(model, images, recipe, **options):
        before = copies(model)
        seen.append((images, options))
        plain(model, images, recipe, **options)
        assert "conv.weight" in changed(model, before)

    monkeypatch.setattr(at_test_time, "shot", watched)
    row = shot_trial(0.5, 3, weight=0.7, recipe=Recipe(epochs=1, steps=2, batch=8, augment=None))
    images, options = seen[0]
    assert torch.equal(images, at_test_time.target(0.5, "train").images)
    assert options == {"weight": 0.7, "seed": 3}
    assert row["updates"] == 2
    assert {"accuracy", "pool", "answered", "entropy"} <= set(row)
