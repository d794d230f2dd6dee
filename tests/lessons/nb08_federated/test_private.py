"""The image that is rebuilt, who holds which labels, and what the table of private heads must show."""

import math

import pytest
import torch

from tlcourse.data.worlds import train_test
from tlcourse.evaluation.predict import extract_features
from tlcourse.federated.private_head import Rounds
from tlcourse.lessons.nb08_federated import private
from tlcourse.lessons.nb08_federated.private import (
    CLIENTS,
    PER_CLIENT,
    TRIED,
    chosen,
    dealt,
    private_trial,
    rebuilt,
)
from tlcourse.repro import generator


def pool(count=1000, size=8):
    """Features that lean towards the class."""
    labels = torch.arange(count) % 10
    noise = torch.randn(count, size, generator=generator("pool", count))
    return torch.nn.functional.one_hot(labels % size, size) + 0.3 * noise, labels


def test_the_image_comes_back_to_the_byte():
    images, _ = train_test("handwritten-photo")
    for seed in range(3):
        original, found = rebuilt(images.images[seed], int(images.labels[seed]), seed)
        assert torch.equal(original, images.images[seed])
        assert torch.equal(found, original)


def test_clients_hold_the_images_that_few_draws_and_no_two_the_same():
    pool, _ = train_test("handwritten-photo")
    rows = torch.arange(len(pool))[:, None].float()  # an image's own number in place of features
    clients, others = dealt((rows, pool.labels), seed=3)
    assert len(clients) == CLIENTS
    for own, labels in clients:
        assert labels.bincount().tolist() == [PER_CLIENT] * 10
        assert torch.equal(pool.labels[own[:, 0].long()], labels)
    held = torch.cat([own for own, _ in clients])[:, 0].long()
    assert torch.equal(pool.subset(held.sort()[0]).images, _sorted(pool, pool.few(50, 3)).images)
    assert len(others[0]) == 406
    assert sorted([*held.tolist(), *others[0][:, 0].long().tolist()]) == list(range(906))


def _sorted(pool, some):
    """Put images of a pool into the pool's order."""
    place = {image.numpy().tobytes(): number for number, image in enumerate(pool.images)}
    return pool.subset(torch.tensor(sorted(place[image.numpy().tobytes()] for image in some.images)))


@pytest.fixture
def tiny(monkeypatch):
    """Features made up, and two recipes of which the first goes uphill; what was asked for is noted."""
    asked = []

    def made_up(name, seed, world):
        asked.append(world)
        return private.Features(pool(), pool(510))

    monkeypatch.setattr(private, "features_of", made_up)
    monkeypatch.setattr(private, "public_middle", lambda name, seed: torch.zeros(8))
    monkeypatch.setattr(private, "TRIED", (Rounds(5, -5.0, 1.0), Rounds(5, 5.0, 1.0)))
    chosen.cache_clear()
    yield asked
    chosen.cache_clear()


def test_a_recipe_is_chosen_on_public_images_alone(tiny):
    assert chosen("letters", 8.0) == Rounds(5, 5.0, 1.0)
    assert set(tiny) == {"printed-photo"}


def test_a_row_says_what_was_promised_and_what_was_reached(tiny):
    plain, noisy = (private_trial("letters", epsilon, 0) for epsilon in (math.inf, 0.5))
    assert plain["noise"] == 0 < noisy["noise"]
    assert plain["accuracy"] > noisy["accuracy"]
    assert (plain["rounds"], plain["lr"], plain["norm"]) == (5, 5.0, 1.0)


def test_as_many_recipes_are_tried_for_all():
    assert len(set(TRIED)) == len(TRIED) == 30


def test_the_middle_is_of_printed_letters():
    from tlcourse.data.worlds import load

    letters = load("printed-photo", "letters", count=private.PUBLIC)
    few = extract_features(private.backbone("random", 0), letters)
    torch.testing.assert_close(private.public_middle("random", 0), few.mean(0))
