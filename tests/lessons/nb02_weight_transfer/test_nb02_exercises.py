"""What the checks of notebook 02 draw and how they score."""

import pytest
import torch

from tlcourse.evaluation.predict import accuracy
from tlcourse.exercises.held_out import held_out
from tlcourse.lessons.nb02_weight_transfer import checks as ex
from tlcourse.models.pretrained import pretrained
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.models.variants import FOREIGN_NAMES, foreign_weights
from tlcourse.training.checkpoint import copy_weights
from tlcourse.transfer.surgery import adapt_input, rename, strip_prefix
from tlcourse.transfer.weights import load_weights

KEY_MAP = {theirs: ours for ours, theirs in FOREIGN_NAMES["tiny_resnet"].items()}


@pytest.fixture
def network():
    return pretrained("tiny_resnet", "digits")


def test_a_strangers_file_has_the_names_of_the_notebook_and_an_order_of_its_own():
    files = [ex.strangers_file(seed) for seed in (1, 2)]
    assert list(files[0]) == list(foreign_weights("tiny_resnet"))
    assert not torch.equal(files[0]["module.fc.weight"], files[1]["module.fc.weight"])
    assert torch.equal(files[0]["module.fc.weight"], ex.strangers_file(1)["module.fc.weight"])


def test_the_strangers_rows_belong_together_and_are_those_of_the_digits(network):
    file = rename(strip_prefix(ex.strangers_file(3)), KEY_MAP)
    order = torch.cdist(network.head.weight, file["head.weight"]).argmin(1)
    assert not torch.equal(order, torch.arange(10))
    assert torch.equal(file["head.weight"][order], network.head.weight)
    assert torch.equal(file["head.bias"][order], network.head.bias)


def test_the_strangers_head_in_order_misses_the_goal(network):
    assert accuracy(network, held_out(0)) == pytest.approx(72, abs=2.5)
    assert accuracy(network, held_out(0)) < ex.q4.goal


def test_check_and_practice_draw_other_orders():
    weights, five = ex.q4.inputs(1)
    assert not torch.equal(weights["module.fc.weight"], ex.strangers_file(1)["module.fc.weight"])
    assert five.labels.bincount().tolist() == [5] * 10


def test_a_backbone_that_arrived_is_found_under_any_name(network):
    load_weights(network, rename(strip_prefix(ex.strangers_file(4)), KEY_MAP))
    state = network.state_dict()
    assert ex.backbone_left(state) == "all"
    assert ex.backbone_left({f"mine.{name}": tensor.double() for name, tensor in state.items()}) == "all"


def test_statistics_that_moved_are_told_from_weights_that_moved(network):
    state = copy_weights(network)
    state["block3.bn1.running_mean"] += 1
    assert ex.backbone_left(state) == "weights"
    state["block3.conv1.weight"] *= 1.01
    assert ex.backbone_left(state) == "moved"


def test_another_network_holds_nothing_of_the_file():
    assert ex.backbone_left(pretrained("tiny_resnet", "letters").state_dict()) == "nothing"
    assert ex.backbone_left(TinyResNet(10).state_dict()) == "nothing"
    assert ex.backbone_left({}) == "nothing"


def test_more_channels_agrees_with_the_course_where_both_have_a_rule():
    weight = torch.randn(4, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ex.q3.made_by(ex.q3.reference)(weight, 3), adapt_input(weight, 3))
