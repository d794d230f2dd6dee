"""What the checks of notebook 10 draw and recognise is what the library computes."""

import numpy as np
import pytest
import torch

from tlcourse.evaluation.predict import predict
from tlcourse.exercises.held_out import held_out
from tlcourse.lessons.nb10_efficiency import checks as ex
from tlcourse.lessons.nb10_efficiency.half_network import MOST, answers_kept, network_and_images, numbers
from tlcourse.models.adapters.lora import LowRank
from tlcourse.models.compression.distillation import distillation_loss
from tlcourse.models.compression.int8 import affine
from tlcourse.models.compression.pruning import kept_channels, remove_channels


def test_what_is_foreseen_is_what_the_library_does():
    names = {}
    exec(f"{ex.q1.setup}\n{ex.q1.snippet}", names)
    change = LowRank(names["W"], names["rank"], names["alpha"])
    change.A.data, change.B.data = names["A"], names["B"]
    torch.testing.assert_close(change(names["W"]).data, names["merged"])
    assert names["result"][1][0] == sum(p.numel() for p in LowRank(names["large"], 2, 4.0).parameters())


def test_eight_numbers_may_be_a_dict_or_an_array():
    right = np.array([[3, 1, 11, -7], [300, 5000, 5300, 5000]])
    written = (right, torch.tensor(right), right.tolist(), dict(zip(("a", "b"), right.tolist(), strict=True)))
    assert all(ex._rows(each).tolist() == right.tolist() for each in written)
    assert all(ex._rows(each) is None for each in (None, 3, "rows", right[:, :3], [["a"] * 4] * 2))


@pytest.mark.parametrize("seed", range(3))
def test_the_loss_that_is_asked_for_is_that_of_the_library(seed):
    loss = ex.q2.made_by(ex.q2.reference)
    for case in ex.q2.cases(seed):
        assert loss(*case.arguments).item() == pytest.approx(distillation_loss(*case.arguments).item(), abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_the_bytes_that_are_asked_for_are_those_of_the_library(seed):
    as_bytes = ex.q3.made_by(ex.q3.reference)
    for (x,) in (case.arguments for case in ex.q3.cases(seed)):
        stored, scale, zero_point = as_bytes(x)
        kept = affine(x.min().item(), x.max().item())
        assert (scale, zero_point) == (pytest.approx(kept.scale), kept.zero_point)
        assert torch.equal(stored, kept.quantize(x).int())
        assert ex._rounds_one_way(x)


def test_half_of_the_channels_fit_and_a_quarter_less_does_not():
    network, images = network_and_images(0)
    assert images.shape == (906, 3, 32, 32)
    cut = [remove_channels(network, kept_channels(network, share)).state_dict() for share in (0.5, 0.25)]
    sizes = [numbers({"state": state}) for state in cut]
    assert sizes[0] <= MOST < sizes[1]
    assert numbers({"state": network.state_dict()}) == 310_599
    assert "310,599" in ex.q4.prompt
    assert f"{MOST:,}" in ex.q4.prompt


def test_the_whole_network_keeps_all_of_its_answers_and_is_too_large():

    network, _ = network_and_images(0)
    report = {"scores": predict(network, held_out(0)), "state": {}}
    assert answers_kept(report, 0) == 100
    assert answers_kept(report | {"state": network.state_dict()}, 0) == 0
    rows = torch.arange(382) % 2 == 0
    report["scores"][rows] = -report["scores"][rows]
    assert 40 < answers_kept(report, 0) < 60
