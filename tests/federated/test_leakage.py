"""What a gradient gives away: the input exactly, of several images what units mix, and where there is nothing."""

import pytest
import torch
from torch import nn

from tests.weights import changed, copies
from tlcourse.federated.leakage import rebuilt_input, rebuilt_inputs, sent_gradients
from tlcourse.repro import generator, seeded

LABELS = torch.tensor([2, 0, 1, 2])


def network(seed=0, hidden=16):
    with seeded("leak", seed):
        model = nn.Sequential(nn.Flatten(), nn.Linear(12, hidden), nn.ReLU(), nn.Linear(hidden, 3))
    return model.double()


def images(count=4):
    return torch.randn(count, 3, 2, 2, generator=generator("leak"), dtype=torch.float64)


def test_one_image_comes_back_exactly_whatever_its_label_and_the_weights():
    for seed, label in ((0, 0), (1, 2), (2, 1)):
        x = images(1)
        weight, bias = sent_gradients(network(seed), x, torch.tensor([label]))
        assert weight.shape == (16, 12)
        torch.testing.assert_close(rebuilt_input(weight, bias), x.flatten(), rtol=1e-9, atol=1e-9)
        candidates = rebuilt_inputs(weight, bias)
        assert len(candidates) == bias.count_nonzero() > 1
        torch.testing.assert_close(candidates, x.flatten().expand_as(candidates), rtol=1e-6, atol=1e-6)


def test_in_the_precision_that_is_sent_bytes_come_back():
    draws = generator("bytes")
    pixels = torch.randint(256, (1, 3, 2, 2), generator=draws)
    x = pixels / 127.5 - 1
    found = rebuilt_input(*sent_gradients(network().float(), x, LABELS[:1]))
    assert ((found + 1) * 127.5).round().long().tolist() == pixels.flatten().tolist()


def test_the_gradients_are_what_one_step_changes_and_the_network_stays():
    model, stepped = network(), network()
    before = copies(model)
    weight, bias = sent_gradients(model, images(), LABELS)
    assert not changed(model, before)
    assert all(parameter.grad is None for parameter in model.parameters())
    nn.functional.cross_entropy(stepped(images()), LABELS).backward()
    torch.testing.assert_close(weight, stepped[1].weight.grad)
    torch.testing.assert_close(bias, stepped[1].bias.grad)


@pytest.mark.parametrize(("optimizer", "comes_back"), [(torch.optim.SGD, True), (torch.optim.Adam, False)])
def test_weights_after_several_steps_give_it_away_too_but_not_those_of_adam(optimizer, comes_back):
    model, x = network(), images(1)
    before = copies(model)
    steps = optimizer(model.parameters(), lr=0.01)
    for _ in range(5):
        steps.zero_grad()
        nn.functional.cross_entropy(model(x), LABELS[:1]).backward()
        steps.step()
    moved = {name: before[name] - tensor for name, tensor in model.state_dict().items()}
    found = rebuilt_input(moved["1.weight"], moved["1.bias"])
    assert torch.allclose(found, x.flatten(), rtol=1e-6, atol=1e-6) is comes_back


def test_of_several_images_a_row_is_a_mean_weighted_by_their_own_gradients():
    model, x = network(), images()
    weight, bias = sent_gradients(model, x, LABELS)
    own = torch.stack([sent_gradients(model, x[[n]], LABELS[[n]])[1] for n in range(4)])  # [4, H]
    candidates = rebuilt_inputs(weight, bias)
    order = bias.abs().argsort(descending=True, stable=True)[: len(candidates)]
    shares = own[:, order] / own[:, order].sum(0)
    assert shares.min() < 0, "some weights are negative: it is no ordinary mean"
    torch.testing.assert_close(candidates, shares.T @ x.flatten(1), rtol=1e-6, atol=1e-6)


def test_an_image_that_has_a_unit_for_itself_comes_back_and_others_do_not():
    """Each of four units is active for one image alone; then a fifth is active for all."""
    model, x = network(hidden=5), images()
    first = model[1]
    with torch.no_grad():
        first.weight[:4] = torch.linalg.pinv(x.flatten(1)).T  # w_i x_n is 1 for n = i, else 0
        first.bias[:4] = -0.5
        first.bias[4] = 100.0
    weight, bias = sent_gradients(model, x, LABELS)
    found = rebuilt_inputs(weight, bias)
    distance = torch.cdist(found, x.flatten(1))
    assert (distance < 1e-9).sum(0).tolist() == [1, 1, 1, 1]
    assert (distance.amin(1) > 0.1).sum() == 1


def test_a_random_network_and_a_batch_usually_mix():
    x = images()
    found = rebuilt_inputs(*sent_gradients(network(hidden=4), x, LABELS))
    assert torch.cdist(found, x.flatten(1)).min() > 0.01


def test_the_largest_gradient_of_the_bias_comes_first_and_zeros_are_left_out():
    weight = torch.tensor([[2.0, 4.0], [1.0, 1.0], [-9.0, 3.0]])
    bias = torch.tensor([1.0, 0.0, -3.0])
    assert rebuilt_inputs(weight, bias).tolist() == [[3, -1], [2, 4]]
    assert rebuilt_input(weight, bias).tolist() == [3, -1]


def test_what_gives_nothing_is_refused():
    model = network()
    nn.init.constant_(model[1].bias, -1000.0)
    with pytest.raises(ValueError, match="every gradient of the bias is 0"):
        rebuilt_input(*sent_gradients(model, images(), LABELS))
    with pytest.raises(ValueError, match=r"Sequential has no linear layer with a bias"):
        sent_gradients(nn.Sequential(nn.Flatten(), nn.Linear(12, 3, bias=False)), images(), LABELS)
    with pytest.raises(ValueError, match=r"shapes \[3, 2\] and \[2\]. Expected \[H, D\]"):
        rebuilt_inputs(torch.ones(3, 2), torch.ones(2))
    with pytest.raises(ValueError, match="infinite or not a number"):
        rebuilt_inputs(torch.full((3, 2), torch.nan), torch.ones(3))
