"""How images are divided among clients."""

import pytest
import torch

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.federated.clients import by_label, by_sheet


def images(per_class=40, classes=5):
    labels = torch.arange(classes).repeat(per_class)
    pixels = torch.arange(len(labels)).byte()[:, None, None, None].expand(-1, 3, 1, 1)  # every image is another
    return ImageSet(pixels, labels, tuple("abcde"[:classes]))


def all_images(clients):
    return sorted(int(pixel) for client in clients for pixel in client.data.images[:, 0, 0, 0])


@pytest.mark.parametrize("alpha", [float("inf"), 10.0, 1.0, 0.3])
def test_every_image_goes_to_exactly_one_client(alpha):
    clients = by_label(images(), 4, alpha, at_least=1)
    assert [client.name for client in clients] == ["client 0", "client 1", "client 2", "client 3"]
    assert all_images(clients) == list(range(200))


def test_at_infinity_all_clients_have_the_same_share_of_each_class():
    for client in by_label(images(), 4, float("inf")):
        assert client.data.labels.bincount().tolist() == [10] * 5


def test_what_is_left_over_goes_round():
    clients = by_label(images(per_class=10), 4, float("inf"))
    assert sorted(len(client.data) for client in clients) == [12, 12, 13, 13]


def largest_share(alpha):
    """The mean share that the largest owner has of a class."""
    shares = []
    for seed in range(20):
        counts = torch.stack([c.data.labels.bincount(minlength=5) for c in by_label(images(), 4, alpha, seed=seed)])
        shares.append((counts.amax(0) / 40).mean())
    return torch.stack(shares).mean()


def test_the_lower_alpha_the_more_of_a_class_one_client_has():
    few, some, much = (largest_share(alpha) for alpha in (100.0, 1.0, 0.3))
    assert 0.25 <= few < 0.35 < some < 0.65 < much


def test_shares_are_those_of_a_dirichlet_distribution():
    """With a single class: the mean share is 1/K, its variance (K - 1) / (K^2 (K alpha + 1))."""
    many = images(per_class=200, classes=1)
    shares = torch.tensor([[len(c.data) / 200 for c in by_label(many, 4, 1.0, seed=s, at_least=0)] for s in range(150)])
    torch.testing.assert_close(shares.mean(0), torch.full((4,), 0.25), atol=0.04, rtol=0)
    assert shares.var(0).mean() == pytest.approx(3 / (16 * 5), rel=0.25)


def test_every_client_has_the_least_number_of_images():
    assert min(len(client.data) for client in by_label(images(), 4, 0.5, at_least=25)) >= 25


def test_a_seed_gives_the_same_division_and_another_gives_another():
    first, again, other = (all_of(by_label(images(), 4, 1.0, seed=seed)) for seed in (0, 0, 1))
    assert first == again != other


def all_of(clients):
    return [client.data.images[:, 0, 0, 0].tolist() for client in clients]


def test_sheets_are_clients():
    clients = by_sheet(load("handwritten"))
    assert [client.name for client in clients] == [f"sheet {number}" for number in range(7)]
    assert [len(client.data) for client in clients] == [130, 126, 130, 130, 130, 130, 130]
    for number, client in enumerate(clients):
        assert client.data.attributes["sheet"].unique().tolist() == [number]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: by_sheet(images()), "does not say which sheet"),
        (lambda: by_label(images(), 0, 1.0), "got 0 clients"),
        (lambda: by_label(images(), 4, 0.0), "alpha=0.0"),
        (lambda: by_label(images(), 4, -1.0), "alpha=-1.0"),
        (lambda: by_label(images(), 4, float("nan")), "alpha=nan"),
        (lambda: by_label(images(), 30, 1.0), "of 200 divisions of 200 images among 30 clients"),
    ],
)
def test_what_cannot_be_divided_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
