"""Rounds: their two limits, who takes part, and clients that fail."""

import copy

import pytest
import torch
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.normalisation import scale
from tlcourse.federated.clients import Client
from tlcourse.federated.fedavg import FedAvg, Update
from tlcourse.federated.fedbn import FedBN
from tlcourse.federated.federation import ClientLostError, Federation
from tlcourse.federated.fedprox import FedProx
from tlcourse.federated.home import HomeWork
from tlcourse.repro import generator, seeded
from tlcourse.training.loop import updates

WORK = HomeWork(epochs=2, batch=4, lr=0.1, augment=None)


def small(batchnorm=True):
    """A network that is trained in milliseconds, with or without batch normalisation."""
    with seeded("small"):
        norm = [nn.BatchNorm2d(4)] if batchnorm else []
        return nn.Sequential(nn.Conv2d(3, 4, 3), *norm, nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 3))


def images(count=8, key="images"):
    pixels = torch.randint(256, (count, 3, 8, 8), generator=generator(key)).byte()
    return ImageSet(pixels, torch.arange(count) % 3, ("a", "b", "c"))


def three():
    return [Client(name, images(count, name)) for name, count in (("ann", 8), ("bob", 12), ("cem", 6))]


def same(state, other):
    return all(torch.equal(value, other[name]) for name, value in state.items())


def test_one_client_is_ordinary_training():
    """Two rounds of two epochs are four epochs of gradient descent, to the last bit."""
    data, network = images(), small()
    federation = Federation(network, [Client("only", data)], work=WORK)
    list(federation.rounds(2))
    batches = data.batches(4, seed=federation.homes["only"].seed)
    alone = copy.deepcopy(network).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(alone.parameters(), lr=0.1)
    for _ in range(4):
        list(updates(alone, batches, optimizer))
    assert same(federation.network().state_dict(), alone.state_dict())


def test_equal_clients_and_one_step_are_one_large_batch():
    data, network = images(12), small()
    federation = Federation(network, [Client(f"{n}", data) for n in range(5)], work=HomeWork(1, 12, 0.1, None))
    federation.one_round()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    five = (scale(data.images).repeat(5, 1, 1, 1), data.labels.repeat(5))
    list(updates(network, [five], optimizer))
    for name, value in federation.network().state_dict().items():
        if "running_var" not in name:  # its correction for a finite batch knows how large the batch was
            torch.testing.assert_close(value, network.state_dict()[name], atol=1e-6, rtol=1e-5)


def test_without_batch_normalisation_one_step_of_unlike_clients_is_one_large_batch():
    """Because the mean is weighted by images: every image then counts the same."""
    clients, network = three(), small(batchnorm=False)
    federation = Federation(network, clients, work=HomeWork(1, 100, 0.1, None))
    federation.one_round()
    together = torch.cat([client.data.images for client in clients])
    labels = torch.cat([client.data.labels for client in clients])
    list(updates(network, [(scale(together), labels)], torch.optim.SGD(network.parameters(), lr=0.1)))
    for name, value in federation.network().state_dict().items():
        torch.testing.assert_close(value, network.state_dict()[name], atol=1e-6, rtol=1e-5)


def test_the_same_seed_gives_the_same_bits_and_the_given_network_stays():
    network = small()
    before = copy.deepcopy(network.state_dict())
    ends = []
    for seed in (0, 0, 1):
        federation = Federation(network, three(), work=WORK, seed=seed)
        list(federation.rounds(2))
        ends.append(federation.shared)
    assert same(ends[0], ends[1])
    assert not same(ends[0], ends[2])
    assert same(before, network.state_dict())


def test_a_round_says_what_happened():
    federation = Federation(small(), three(), work=WORK)
    first, second = federation.rounds(2)
    size = sum(value.numel() * value.element_size() for value in small().state_dict().values())
    assert (first.number, second.number) == (1, 2)
    assert list(first.losses) == ["ann", "bob", "cem"]
    assert (first.lost, first.refused) == ((), {})
    assert first.megabytes == pytest.approx(6 * size / 1e6)


def test_clients_are_drawn_for_each_round():
    federation = Federation(small(), three(), work=WORK, per_round=2)
    drawn = [tuple(done.losses) for done in federation.rounds(6)]
    assert {len(names) for names in drawn} == {2}
    assert len(set(drawn)) > 1


def kill(federation, name, in_round):
    train = federation.homes[name].train

    def killed(shared, number):
        if number == in_round:
            raise ClientLostError(name)
        return train(shared, number)

    federation.homes[name].train = killed


def send_nonsense(federation, name, spoil):
    """Let a client spoil the first weights that it sends."""
    train = federation.homes[name].train

    def spoiled(shared, number):
        update = train(shared, number)
        return Update(update.state | {"0.weight": spoil(update.state["0.weight"])}, update.images, update.loss)

    federation.homes[name].train = spoiled


def test_a_killed_client_costs_its_round_only():
    federation = Federation(small(), three(), work=WORK)
    kill(federation, "bob", in_round=2)
    first, second, third = federation.rounds(3)
    assert second.lost == ("bob",)
    assert list(second.losses) == ["ann", "cem"]
    assert list(third.losses) == list(first.losses) == ["ann", "bob", "cem"]


def test_a_round_without_a_client_is_a_round_without_it():
    """The mean of a round in which one was lost is that of a federation of the others."""
    with_bob, without = Federation(small(), three(), work=WORK), Federation(small(), three()[::2], work=WORK)
    kill(with_bob, "bob", in_round=1)
    with_bob.one_round()
    without.one_round()
    assert same(with_bob.shared, without.shared)


def test_a_round_that_nobody_answers_leaves_the_weights():
    federation = Federation(small(), three()[:1], work=WORK)
    kill(federation, "ann", in_round=1)
    before = federation.shared
    assert federation.one_round().lost == ("ann",)
    assert same(before, federation.shared)


@pytest.mark.parametrize("spoil", [lambda value: value * torch.nan, lambda value: value[:1]], ids=["NaN", "shape"])
def test_a_client_that_sends_nonsense_is_refused_by_name(spoil):
    federation = Federation(small(), three(), work=WORK)
    send_nonsense(federation, "cem", spoil)
    done = federation.one_round()
    assert list(done.refused) == ["cem"]
    assert "'0.weight'" in done.refused["cem"]
    assert list(done.losses) == ["ann", "bob"]
    assert all(torch.isfinite(value).all() for value in federation.shared.values())


def test_fedprox_moves_less_and_without_a_spring_is_fedavg():
    def moved(method):
        federation = Federation(small(), three(), method, WORK)
        before = federation.shared
        federation.one_round()
        return sum((federation.shared[name] - before[name]).square().sum() for name in ("0.weight", "4.weight"))

    assert moved(FedProx(0.0)) == moved(FedAvg())
    assert moved(FedProx(5.0)) < 0.9 * moved(FedAvg())


def test_fedbn_shares_weights_and_keeps_normalisation_at_home():
    federation = Federation(small(), three(), FedBN(), WORK)
    list(federation.rounds(2))
    ann, bob = (federation.network_of(name).state_dict() for name in ("ann", "bob"))
    shared = {name for name, value in ann.items() if torch.equal(value, bob[name])}
    assert shared == {"0.weight", "0.bias", "4.weight", "4.bias"}
    assert set(federation.shared) == {"0.weight", "0.bias", "4.weight", "4.bias"}


def test_fedbn_remembers_what_it_keeps_from_round_to_round():
    federation = Federation(small(), three(), FedBN(), WORK)
    counted = [int(federation.homes["ann"].kept["1.num_batches_tracked"]) for _ in federation.rounds(3)]
    assert counted == [4, 8, 12]  # two epochs of two batches a round


def test_fedbn_has_no_network_for_everybody():
    federation = Federation(small(), three(), FedBN(), WORK)
    with pytest.raises(ValueError, match=r"FedBN has no network for everybody: 5 tensors, such as '1\.bias'"):
        federation.network()


def test_a_newcomer_gets_the_mean_of_what_is_at_home_and_statistics_of_its_own():
    federation = Federation(small(), three(), FedBN(), WORK)
    federation.one_round()
    newcomer = federation.network_for(images(40, "newcomer").images).state_dict()
    kept = [home.kept["1.weight"] for home in federation.homes.values()]
    expected = (8 * kept[0] + 12 * kept[1] + 6 * kept[2]) / 26
    torch.testing.assert_close(newcomer["1.weight"], expected)
    other = federation.network_for(255 - images(40, "newcomer").images).state_dict()
    assert not torch.equal(newcomer["1.running_mean"], other["1.running_mean"])
    assert torch.equal(newcomer["1.weight"], other["1.weight"])


def test_fedavg_has_one_network_for_all():
    federation = Federation(small(), three(), work=WORK)
    federation.one_round()
    assert same(federation.network_of("ann").state_dict(), federation.network().state_dict())


@pytest.mark.parametrize(
    ("clients", "per_round", "message"),
    [
        ([], None, "got 0 clients"),
        ([Client("ann", images()), Client("ann", images())], None, "2 clients with 1 names"),
        (three(), 0, "0 clients a round"),
        (three(), 4, "Expected from 1 to 3"),
    ],
)
def test_what_is_no_federation_is_refused(clients, per_round, message):
    with pytest.raises(ValueError, match=message):
        Federation(small(), clients, per_round=per_round)
