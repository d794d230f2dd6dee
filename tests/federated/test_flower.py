"""The same rounds on Flower, in this process; `pip install '.[federated]'` brings it."""

import pytest
import torch

from tests.federated.test_federation import WORK, kill, send_nonsense, small, three
from tlcourse.federated.fedavg import FedAvg, Update
from tlcourse.federated.fedbn import FedBN
from tlcourse.federated.federation import Federation
from tlcourse.federated.fedprox import FedProx

WHY = "Flower, an engine that only federated learning on a network needs, is not installed: pip install '.[federated]'"
pytest.importorskip("flwr", reason=WHY)
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict  # noqa: E402

from tlcourse.federated import flower  # noqa: E402


@pytest.mark.parametrize("method", [FedAvg(), FedProx(0.5), FedBN()], ids=lambda method: type(method).__name__)
def test_three_rounds_are_those_by_hand(method):
    by_hand, on_flower = (Federation(small(), three(), method, WORK) for _ in range(2))
    expected, found = list(by_hand.rounds(3)), flower.rounds(on_flower, 3)
    for name in ("ann", "bob", "cem"):
        network = on_flower.network_of(name).state_dict()
        for key, value in by_hand.network_of(name).state_dict().items():
            torch.testing.assert_close(network[key], value, rtol=0, atol=1e-6)
    for one, other in zip(expected, found, strict=True):
        assert (one.number, one.lost, one.refused) == (other.number, other.lost, other.refused)
        assert one.losses == pytest.approx(other.losses, abs=1e-6)
        assert one.megabytes == pytest.approx(other.megabytes)


def test_rounds_by_hand_and_on_flower_may_take_turns():
    by_hand, taking_turns = (Federation(small(), three(), FedBN(), WORK) for _ in range(2))
    list(by_hand.rounds(3))
    numbers = [done.number for done in flower.rounds(taking_turns, 1)]
    numbers += [done.number for done in taking_turns.rounds(1)]
    numbers += [done.number for done in flower.rounds(taking_turns, 1)]
    assert numbers == [1, 2, 3]
    for key, value in by_hand.network_of("ann").state_dict().items():
        torch.testing.assert_close(taking_turns.network_of("ann").state_dict()[key], value, rtol=0, atol=1e-6)


def test_counters_stay_integers():
    """Flower's own mean makes fractions of them: two clients with 4 and 6 batches would have seen 5.2."""
    federation = Federation(small(), three(), work=WORK)
    flower.rounds(federation, 1)
    counter = federation.shared["1.num_batches_tracked"]
    assert (counter.dtype, int(counter)) == (torch.int64, 6)  # two epochs of bob's three batches


def test_a_killed_client_costs_its_round_only():
    federation = Federation(small(), three(), work=WORK)
    kill(federation, "bob", in_round=2)
    first, second, third = flower.rounds(federation, 3)
    assert second.lost == ("bob",)
    assert list(second.losses) == ["ann", "cem"]
    assert list(third.losses) == list(first.losses) == ["ann", "bob", "cem"]
    assert second.megabytes == pytest.approx(first.megabytes * 5 / 6)


def test_a_round_that_nobody_answers_leaves_the_weights():
    federation = Federation(small(), three()[:1], work=WORK)
    kill(federation, "ann", in_round=1)
    before = federation.shared
    (done,) = flower.rounds(federation, 1)
    assert done.lost == ("node 1",)  # who never answered never said its name
    assert all(torch.equal(value, federation.shared[name]) for name, value in before.items())


@pytest.mark.parametrize("spoil", [lambda value: value * torch.nan, lambda value: value[:1]], ids=["NaN", "shape"])
def test_a_client_that_sends_nonsense_is_refused_by_name(spoil):
    federation = Federation(small(), three(), work=WORK)
    send_nonsense(federation, "cem", spoil)
    (done,) = flower.rounds(federation, 1)
    assert "'0.weight'" in done.refused["cem"]
    assert list(done.losses) == ["ann", "bob"]
    assert all(torch.isfinite(value).all() for value in federation.shared.values())


def sent(**changes):
    """What eve sends: the weight 9 from 4 images, but for the changes; None leaves a record out."""
    right = flower.packed(Update({"weight": torch.full((2,), 9.0)}, 4, 0.5), "eve")
    return RecordDict({key: record for key, record in (dict(right) | changes).items() if record is not None})


def answered(*contents):
    """Return the strategy, and the mean, after a round of one weight in which clients answered so."""

    def app(message, context):
        return Message(contents[context.node_config["client"]], reply_to=message)

    grid = flower.InProcess(app, len(contents))
    strategy = flower.WeightedMean(len(contents))
    messages = strategy.configure_train(1, ArrayRecord({"weight": torch.zeros(2)}), ConfigRecord(), grid)
    return strategy.history, strategy.aggregate_train(1, grid.send_and_receive(messages))[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metrics": None}, "cannot be read: KeyError"),
        ({"arrays": None}, "cannot be read: KeyError"),
        ({"arrays": ArrayRecord({"weight": Array("float32", (2,), "numpy.ndarray", b"nonsense")})}, "cannot be read"),
        ({"arrays": ArrayRecord({"bias": torch.zeros(2)})}, "not 'weight'"),
        ({"metrics": MetricRecord({"images": 0, "loss": 0.5})}, "0 images"),
        ({"metrics": MetricRecord({"images": 2.5, "loss": 0.5})}, "2.5 images"),
        ({"client": ConfigRecord({"name": "ann"})}, "same name"),
    ],
)
def test_an_answer_that_is_not_right_costs_its_sender_only(changes, message):
    ann = flower.packed(Update({"weight": torch.ones(2)}, 4, 0.5), "ann")
    history, mean = answered(ann, sent(**changes))
    ((name, reason),) = history[0].refused.items()
    assert name in ("eve", "ann")
    assert message in reason
    assert mean["weight"].numpy().tolist() == [1, 1]
    _, both = answered(ann, sent())
    assert both["weight"].numpy().tolist() == [5, 5]


def test_an_answer_without_a_name_is_refused_by_its_number():
    history, mean = answered(sent(client=None))
    assert list(history[0].refused) in (["node 1"], ["node 2"])
    assert mean is None


def test_only_some_clients_a_round_is_refused():
    with pytest.raises(ValueError, match="2 of 3 clients a round were asked for"):
        flower.rounds(Federation(small(), three(), per_round=2), 1)
