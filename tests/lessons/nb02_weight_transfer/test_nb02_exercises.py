"""What the checks of notebook 02 draw and how they score."""

import numpy as np
import pytest
import torch

from tlcourse.evaluation.predict import accuracy, extract_features
from tlcourse.exercises.card import Outcome
from tlcourse.exercises.held_out import held_out
from tlcourse.lessons.nb02_weight_transfer import checks as ex
from tlcourse.models.pretrained import pretrained
from tlcourse.models.variants import FOREIGN_NAMES, foreign_weights
from tlcourse.training.checkpoint import copy_weights
from tlcourse.transfer.heads import class_mean_head
from tlcourse.transfer.surgery import adapt_input, rename, strip_prefix
from tlcourse.transfer.weights import load_weights

KEY_MAP = {theirs: ours for ours, theirs in FOREIGN_NAMES["tiny_resnet"].items()}
HEAD = "module.fc.weight"


@pytest.fixture
def network():
    return pretrained("tiny_resnet", "digits")


def test_a_strangers_file_has_the_names_of_the_notebook_and_an_order_of_its_own():
    first, again, other = (ex.strangers_file(seed) for seed in (1, 1, 2))
    weights, five = ex.q4.inputs(1)
    assert list(first) == list(foreign_weights("tiny_resnet"))
    assert torch.equal(first[HEAD], again[HEAD])
    assert not torch.equal(first[HEAD], other[HEAD])
    assert not torch.equal(first[HEAD], weights[HEAD]), "check and practice draw other orders"
    assert five.labels.bincount().tolist() == [5] * 10


def test_the_strangers_rows_belong_together_and_are_those_of_the_digits(network):
    file = rename(strip_prefix(ex.strangers_file(3)), KEY_MAP)
    order = torch.cdist(network.head.weight, file["head.weight"]).argmin(1)
    assert not torch.equal(order, torch.arange(10))
    assert torch.equal(file["head.weight"][order], network.head.weight)
    assert torch.equal(file["head.bias"][order], network.head.bias)


def test_the_strangers_head_in_order_misses_the_goal_and_class_means_reach_it(network):
    """The prompt's two numbers, over several draws of the exam pool."""
    seeds = range(5)
    assert np.mean([accuracy(network, held_out(seed)) for seed in seeds]) == pytest.approx(69, abs=2)
    for seed in seeds:
        _, five = ex.q4.inputs(seed)
        class_mean_head(network.head, extract_features(network, five), five.labels)
        assert accuracy(network, held_out(seed)) > ex.q4.goal


def test_a_backbone_is_found_under_any_name_and_told_from_one_that_moved(network):
    load_weights(network, rename(strip_prefix(ex.strangers_file(4)), KEY_MAP))
    state = copy_weights(network)
    assert ex.backbone_left(state) == "all"
    assert ex.backbone_left({f"mine.{name}": tensor.double() for name, tensor in state.items()}) == "all"
    state["block3.bn1.running_mean"] += 1
    assert ex.backbone_left(state) == "weights"
    state["block3.conv1.weight"] *= 1.01
    assert ex.backbone_left(state) == "moved"
    assert ex.backbone_left(pretrained("tiny_resnet", "letters").state_dict()) == "nothing"
    assert ex.backbone_left({}) == "nothing"


def test_more_channels_agrees_with_the_course_where_both_have_a_rule():
    weight = torch.randn(4, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ex.q3.made_by(ex.q3.reference)(weight, 3), adapt_input(weight, 3))


def test_a_head_may_be_large_but_a_second_backbone_is_noticed(network):
    state = {f"theirs.{name}": tensor for name, tensor in network.state_dict().items()}
    assert not ex._second_backbone({"state": state | {"hidden.weight": torch.zeros(256, 128)}}, 80)
    assert ex._second_backbone({"state": state | {f"mine.{n}": t + 1 for n, t in network.state_dict().items()}}, 80)
    assert not ex._second_backbone({"type": "list"}, None)


def test_six_numbers_may_come_by_part_in_any_order():
    by_part = {"head": 2, "stem": 3, "block1": 0, "block2": 9, "block3": 18, "block4": 18}
    assert ex.q1.check(by_part).outcome is Outcome.CORRECT
    assert ex.q1.check(by_part | {"stem": 2}).mistake == "forgets the counter"
    assert ex._six({"stem": 3}) is None
