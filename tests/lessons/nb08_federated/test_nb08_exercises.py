"""What the checks of notebook 08 draw and recognise, and that what they say of wrong answers is true."""

import copy
import importlib
import pickle
import sys

import numpy as np
import pytest
import torch

import tlcourse as tl
from tlcourse.exercises.held_out import held_out
from tlcourse.federated.fedavg import Update, refusal, weighted_mean
from tlcourse.federated.federation import megabytes
from tlcourse.federated.home import Home, HomeWork
from tlcourse.lessons import nb08_federated as lesson
from tlcourse.lessons.nb08_federated import asking
from tlcourse.lessons.nb08_federated import checks as ex
from tlcourse.lessons.nb08_federated.asking import CLIENTS, ROUNDS
from tlcourse.lessons.nb08_federated.checks import ask_clients, ask_clients_of_permuted, divided


def snippet():
    names = {}
    exec(f"{ex.q1.setup}\n{ex.q1.snippet}", names)
    return names


def test_what_is_foreseen_is_the_mean_by_images_and_the_traffic_of_both_ways():
    names = snippet()
    anna, ben = ([float(number) for number in names[who].values()] for who in ("anna", "ben"))
    (*shared, count, everything), (*own, kept, little) = ([float(number) for number in row] for row in names["result"])
    assert shared == pytest.approx(np.average([anna[:3], ben[:3]], axis=0, weights=(10, 30)), abs=1e-6)
    assert count == max(anna[3], ben[3])
    assert (own, kept) == ([shared[0], *anna[1:3]], anna[3])
    sizes = [number.nbytes for number in names["network"].state_dict().values()]
    assert sizes == [4, 4, 4, 8]
    assert (everything, little) == (4 * sum(sizes), 4 * sizes[0])
    assert megabytes(names["shared"]) == pytest.approx(4e-6), "the network's numbers and the paper's have one size"


def test_the_variance_of_all_images_is_that_of_the_means_as_well():
    draws = np.random.default_rng(0)

    def numbers(mean, variance, count):
        drawn = draws.normal(size=count)
        return mean + np.sqrt(variance) * (drawn - drawn.mean()) / drawn.std()

    assert np.var([*numbers(4, 5, 10), *numbers(0, 1, 30)]) == pytest.approx(5)
    assert "variance of 5, and not of 2" in ex.q1.why


def test_ten_numbers_by_method_may_be_a_dict_or_an_array():
    right = np.array([[3, 1, 2, 12, 80], [3, 4, 5, 4, 16]])
    for written in (right, torch.tensor(right), right.tolist(), dict(zip("ab", right.tolist(), strict=True))):
        assert ex._rows(written).tolist() == right.tolist()
    for written in (None, 3, "rows", right[:, :4], right > 1, [["a"] * 5] * 2, {"FedAvg": 1, "FedBN": 2}):
        assert ex._rows(written) is None


@pytest.mark.parametrize("seed", range(3))
def test_a_mended_server_is_that_of_the_library_and_leaves_the_network_alone(seed):
    average = ex.q2.made_by(ex.q2.reference)
    for case in ex.q2.cases(seed):
        network, updates = case.arguments
        before = copy.deepcopy(network.state_dict())
        mean = average(network, updates)
        expected = weighted_mean([Update(state, images, 0.0) for state, images in updates])
        for name, value in mean.items():
            assert value.dtype == expected[name].dtype
            assert torch.allclose(value, expected[name], atol=1e-5)
            assert torch.equal(network.state_dict()[name], before[name])


def agreed(clients, draws):
    """The secrets of all clients: what two of them know is the same number."""
    pairs = {(i, j): int(draws.integers(10**6)) for i in range(clients) for j in range(i)}
    return [
        {other: pairs[max(me, other), min(me, other)] for other in range(clients) if other != me}
        for me in range(clients)
    ]


def messages(code, values, number=0, seed=0):
    send, draws = ex.q3.made_by(code), np.random.default_rng(seed)
    secrets = agreed(len(values), draws)
    return [send(value, me, secrets[me], number) for me, value in enumerate(values)]


def server_sum(sent):
    total = sum(sent) % 2**32
    return torch.where(total < 2**31, total, total - 2**32) / 2**16


def wrong(name):
    return next(mistake.answer for mistake in ex.q3.mistakes if mistake.name == name)


VALUES = (torch.randn(4, 50, generator=torch.Generator().manual_seed(0)) * 2**16).round() / 2**16  # of four clients


def test_the_server_gets_the_exact_sum_and_a_message_is_spread_over_the_whole_range():
    for code in (ex.q3.reference, ex.q3.alternative):
        sent = messages(code, VALUES)
        assert torch.equal(server_sum(sent), VALUES.sum(0))
        assert all(message.dtype == torch.int64 and 0 <= message.min() <= message.max() < 2**32 for message in sent)
        assert all(message.double().std() > 2**29 for message in sent), "evenly spread it is 2**32 / sqrt(12)"


def test_a_client_that_does_not_answer_leaves_a_sum_as_random_as_a_mask():
    assert (server_sum(messages(ex.q3.reference, VALUES)[1:]) - VALUES[1:].sum(0)).abs().max() > 1000


@pytest.mark.parametrize("name", ["always adds", "only adds", "masks as floats", "divided"])
def test_a_mistake_that_is_said_to_spoil_the_sum_does(name):
    assert not torch.equal(server_sum(messages(wrong(name), VALUES)), VALUES.sum(0))


@pytest.mark.parametrize("name", ["no masks", "the larger number adds", "the same masks in every round", "no modulo"])
def test_a_mistake_that_is_said_to_spoil_something_else_gives_the_sum(name):
    assert torch.equal(server_sum(messages(wrong(name), VALUES)), VALUES.sum(0))


def test_masks_that_are_used_again_or_shared_by_all_values_show_differences():
    moved = VALUES + 0.5
    first, second = (
        messages(wrong("the same masks in every round"), values, n) for n, values in enumerate((VALUES, moved))
    )
    assert ((second[0] - first[0]) % 2**32 == 2**15).all()
    first, second = (messages(ex.q3.reference, values, n) for n, values in enumerate((VALUES, moved)))
    assert not ((second[0] - first[0]) % 2**32 == 2**15).any()
    alike = messages(wrong("one mask for all values"), VALUES)[0]
    assert torch.equal((alike - alike[0]) % 2**32, ((VALUES[0] - VALUES[0, 0]) * 2**16).long() % 2**32)


def test_a_message_that_was_only_added_leaves_the_last_client_bare():
    last = messages(wrong("only adds"), VALUES)[-1]
    assert torch.equal(last, (VALUES[-1] * 2**16).long() % 2**32)


@pytest.fixture
def answers_at_once(monkeypatch):
    """Clients who send back what they got, without a training."""
    monkeypatch.setattr(Home, "train", lambda home, state, number: Update(dict(state), len(home.client.data), 0.0))


@pytest.fixture
def state():
    return tl.build("tiny_resnet", 10).state_dict()


def test_in_every_round_one_client_is_silent_and_another_sends_one_number_that_is_none(answers_at_once, state):
    (ask,), seen = ask_clients(0), []
    for _ in range(ROUNDS):
        updates = ask(state)
        assert len(updates) == CLIENTS - 1
        damaged = [update for update in updates if refusal(update, state)]
        assert len(damaged) == 1
        assert sum(int(value.isnan().sum()) for value in damaged[0].state.values()) == 1
        seen.append(tuple(update.images for update in updates))
    assert len(set(seen)) > 1, "not always the same client"
    assert all(value.isfinite().all() for value in state.values()), "what was sent out stays as it was"


def test_a_sixth_round_and_another_head_are_refused_in_words(answers_at_once, state):
    (ask,) = ask_clients(0)
    with pytest.raises(ValueError, match=r"'head.weight' was sent as \[35, 128\], but \[10, 128\] was expected"):
        ask(tl.build("tiny_resnet", 35).state_dict())
    with pytest.raises(ValueError, match="was sent as nothing"):
        ask({})
    with pytest.raises(TypeError, match=r"ask got a TinyResNet. Expected a state dict"):
        ask(tl.build("tiny_resnet", 10))
    assert ask.rounds_left == ROUNDS, "what was refused costs no round"
    for _ in range(ROUNDS):
        ask(state)
    with pytest.raises(RuntimeError, match=f"once more, after {ROUNDS} rounds"):
        ask(state)


def test_a_client_trains_as_it_is_told_also_when_it_was_sent_to_another_process(state):
    (ask,) = pickle.loads(pickle.dumps(ask_clients(0)))
    first, *_ = ask(state, HomeWork(epochs=3, batch=200))
    assert int(first.state["stem.1.num_batches_tracked"]) == 3
    assert not torch.equal(first.state["head.weight"], state["head.weight"])


def test_clients_hold_no_image_of_the_exam_and_their_labels_can_be_permuted():
    (ask,), (shuffled,) = ask_clients(0), ask_clients_of_permuted(0)
    data, labels = divided(0)[0], {}
    for who, asked in (("true", ask), ("permuted", shuffled)):
        sets = [home.client.data for home in asked._homes]
        assert min(map(len, sets)) >= 10
        assert sum(map(len, sets)) == len(data) == 320
        most = np.mean([float(part.labels.bincount().max()) / len(part) for part in sets])
        assert most > 0.25, "as many of each class would be 0.1"
        labels[who] = {part.images[i].numpy().tobytes(): int(part.labels[i]) for part in sets for i in range(len(part))}
    assert labels["true"].keys() == labels["permuted"].keys()
    assert not any(labels["true"][image] == label for image, label in labels["permuted"].items())
    assert held_out(0).shared_with(data) == 0


def test_a_network_with_nan_is_recognised_wherever_it_is(state):
    assert not ex._has_nan({"state": state}, 50.0)
    state["head.bias"][3] = torch.nan
    assert ex._has_nan({"state": state}, 50.0)


def test_where_answers_are_marked_clients_can_be_asked_though_exercises_cannot_be_imported(monkeypatch):
    monkeypatch.setattr(lesson, "asking", asking)  # an import puts the new module there
    monkeypatch.delitem(sys.modules, asking.__name__)
    for name in [name for name in sys.modules if name.startswith("tlcourse.exercises")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tlcourse.exercises", object())  # as the grader does
    with pytest.raises(ModuleNotFoundError, match="not a package"):
        importlib.import_module("tlcourse.exercises.held_out")
    assert importlib.import_module(asking.__name__).Ask is not asking.Ask
