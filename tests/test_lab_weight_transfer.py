import re

import ipywidgets
import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
import torch

mpl.use("agg")

from tlcourse.labs import weight_transfer as lab_module
from tlcourse.models.zoo import pretrained

PAIRS = list(lab_module.PAIRS)
HEAD, SAME, WIDE, GREY, FOREIGN, MAPPED, OTHER = PAIRS


@pytest.fixture(scope="module")
def lab():
    return lab_module.SurgeryLab()


@pytest.mark.parametrize(
    ("pair", "counts"),
    [
        (HEAD, {"copied": 78, "adapted": 0, "skipped": 2, "fresh": 0}),
        (SAME, {"copied": 80, "adapted": 0, "skipped": 0, "fresh": 0}),
        (WIDE, {"copied": 13, "adapted": 65, "skipped": 2, "fresh": 0}),
        (GREY, {"copied": 77, "adapted": 1, "skipped": 2, "fresh": 0}),
        (FOREIGN, {"copied": 0, "adapted": 0, "skipped": 80, "fresh": 80}),
        (MAPPED, {"copied": 78, "adapted": 0, "skipped": 2, "fresh": 0}),
        (OTHER, {"copied": 0, "adapted": 0, "skipped": 8, "fresh": 80}),
    ],
)
def test_every_tensor_of_a_pair(pair, counts):
    assert lab_module.count_actions(lab_module.compute_surgery(pair, 5, "keep")) == counts


def test_a_head_is_left_behind_on_purpose_and_not_because_it_does_not_fit():
    reasons = {step.name: step.why for step in lab_module.compute_surgery(HEAD, 5, "keep").steps}
    assert reasons["head.weight"] == "left behind on purpose"
    assert {step.why for step in lab_module.compute_surgery(SAME, 5, "keep").steps} == {"same name, same shape"}


@pytest.mark.parametrize("pair", [HEAD, WIDE, GREY])
@pytest.mark.parametrize("batchnorm", ["keep", "adapt"])
def test_what_moves_follows_depth_and_policy(pair, batchnorm):
    for depth in (0, 3, 5):
        surgery = lab_module.compute_surgery(pair, depth, batchnorm)
        inside = {name for name in surgery.report.moved if name.split(".")[0] in surgery.frozen}
        free = {name for name in surgery.report.stayed if name.split(".")[0] not in surgery.frozen}
        statistics = {name for name in inside if "running" in name or "num_batches" in name}
        assert len(surgery.frozen) == depth
        assert not free
        assert inside == statistics
        assert bool(inside) == (batchnorm == "adapt" and depth > 0)


def test_filters_are_those_of_source_surgery_and_training():
    frozen, free = lab_module.compute_surgery(HEAD, 1, "keep"), lab_module.compute_surgery(HEAD, 0, "keep")
    source = pretrained("tiny_resnet", "letters").stem[0].weight
    assert all(torch.equal(weight, source) for weight in frozen.filters.values())
    assert torch.equal(free.filters["after surgery"], source)
    assert not torch.equal(free.filters["3 steps later"], source)
    assert lab_module.compute_surgery(GREY, 5, "keep").filters["after surgery"].shape == (16, 1, 3, 3)
    assert "source" not in lab_module.compute_surgery(OTHER, 5, "keep").filters


def test_sentences():
    assert lab_module.describe_surgery(lab_module.compute_surgery(HEAD, 2, "keep")).endswith("nothing moved.")
    adapted = lab_module.describe_surgery(lab_module.compute_surgery(HEAD, 1, "adapt"))
    assert adapted.endswith("In the frozen stages (stem), 0 weights and 3 statistics moved.")
    assert lab_module.describe_surgery(lab_module.compute_surgery(HEAD, 0, "keep")).endswith("Nothing was frozen.")


def test_the_table_has_every_tensor():
    table = lab_module.surgery_table(lab_module.compute_surgery(OTHER, 5, "keep"))
    assert table.count("<tr>") == 88 + 1
    assert "<td>fc1.weight</td><td>128×4096</td><td>–</td>" in table
    assert len(re.findall("<td>moved</td>", table)) == 2


def test_the_same_surgery_gives_the_same_numbers():
    first = lab_module.compute_surgery(WIDE, 2, "adapt")
    lab_module.compute_surgery.cache_clear()
    again = lab_module.compute_surgery(WIDE, 2, "adapt")
    assert first.report == again.report


def test_the_lab_follows_every_control(lab):
    for control, positions in (
        (lab.pair, (PAIRS[0], PAIRS[3], PAIRS[-1])),
        (lab.depth, (0, 3, 5)),
        (lab.batchnorm, ("keep", "adapt")),
    ):
        seen = set()
        for position in positions:
            control.value = position
            seen.add((lab.text.value, lab.picture.value, lab.table.value))
        assert len({text for text, _, _ in seen}) == len({table for _, _, table in seen}) == len(positions)
        assert len({picture for _, picture, _ in seen}) == len(positions)
    assert "alt=" in lab.picture.value


def test_an_error_in_the_lab_is_not_swallowed(monkeypatch):
    lab = lab_module.SurgeryLab()
    monkeypatch.setattr(lab_module, "draw_surgery", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        lab.depth.value = 3
    assert "division by zero" in lab.text.value
    plt.close("all")


def test_unknown_pair():
    with pytest.raises(ValueError, match="'a to b' is not a pair"):
        lab_module.compute_surgery("a to b", 0, "keep")


def test_the_lab_is_one_widget():
    widget = lab_module.operate()
    assert isinstance(widget, ipywidgets.Widget)
    assert all(control.description for control in widget.children[:3])
    assert "Every tensor" in widget.children[-1].value
