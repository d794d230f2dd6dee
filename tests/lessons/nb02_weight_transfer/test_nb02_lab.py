"""Weight surgery, without a screen: what is carried, what moves, what is said about it, and steps that run and stop."""

import functools
import re
from dataclasses import replace

import pytest
import torch

from tlcourse.lessons.nb02_weight_transfer import lab as lab_module
from tlcourse.lessons.nb02_weight_transfer import surgery as runs
from tlcourse.lessons.nb02_weight_transfer import surgery_views as views
from tlcourse.lessons.nb02_weight_transfer.figures import STATISTICS
from tlcourse.lessons.nb02_weight_transfer.surgery import FIRST, STAGES, Operation, Training, compute_surgery, prepare
from tlcourse.models.pretrained import pretrained
from tlcourse.transfer.surgery import Step
from tlcourse.transfer.weights import MoveReport

LETTERS, DIGITS, GREY_LETTERS, FOREIGN = runs.SOURCES
TO_DIGITS, TO_GREY, TO_WIDE, TO_LETTERS = runs.TARGETS
AS_THEY_ARE, MAPPED = runs.NAMES


@pytest.fixture
def lab(monkeypatch):
    """A lab that draws no pixels."""
    monkeypatch.setattr("tlcourse.notebook.lab.as_image", lambda figure, alt, **_: f"<img alt={alt!r}>")
    lab = lab_module.WeightTransferLab()
    yield lab
    lab.close()


@functools.cache
def move(operation, training):
    return lab_module._run_to_the_end(operation, training)


@pytest.mark.parametrize(
    ("operation", "counts", "said"),
    [
        (Operation(LETTERS, TO_DIGITS), (78, 0, 2, 0), "The old head stays behind."),
        (
            Operation(LETTERS, TO_DIGITS, head="carry"),
            (78, 0, 2, 0),
            "The old head scores 35 classes and does not fit 10.",
        ),
        (Operation(DIGITS, TO_DIGITS, head="carry"), (80, 0, 0, 0), "The head came along."),
        (Operation(DIGITS, TO_LETTERS, head="carry"), (78, 2, 0, 0), "it fits in shape, not in meaning."),
        (Operation(DIGITS, TO_WIDE, head="carry"), (14, 66, 0, 0), "The head came along, into the corner."),
        (Operation(LETTERS, TO_WIDE), (13, 65, 2, 0), "The old head stays behind."),
        (Operation(LETTERS, TO_GREY), (77, 1, 2, 0), "The old head stays behind."),
        (Operation(GREY_LETTERS, TO_DIGITS), (77, 1, 2, 0), "The old head stays behind."),
        (Operation(FOREIGN, TO_DIGITS), (0, 0, 80, 80), "No name agrees, so nothing was carried."),
        (Operation(FOREIGN, TO_DIGITS, MAPPED), (78, 0, 2, 0), "The old head stays behind."),
    ],
)
def test_every_tensor_of_an_operation_and_what_is_said_about_it(operation, counts, said):
    surgery = compute_surgery(operation)
    assert tuple(surgery.count_actions().values()) == counts
    sentence = views.describe_surgery(operation, surgery)
    assert "{} copied, {} adapted, {} skipped, {} fresh.".format(*counts) in sentence
    assert sentence.endswith(said)


@pytest.mark.parametrize("policy", runs.POLICIES)
@pytest.mark.parametrize("depth", [0, 3, 5])
def test_what_moves_follows_depth_and_policy(policy, depth):
    surgery, training = compute_surgery(Operation()), Training(depth, policy)
    moved = move(Operation(), training)
    expected = sum(s.name.split(".")[0] in training.frozen and s.name.endswith(STATISTICS) for s in surgery.steps)
    assert views.count_moved(moved, training.frozen) == (0, 0 if policy == "keep" else expected)
    assert all(name.split(".")[0] in training.frozen for name in moved.report.stayed)


def test_filters_are_those_of_source_surgery_and_training(ax):
    source = pretrained("tiny_resnet", "letters").stem[0].weight
    surgery, wide = compute_surgery(Operation(LETTERS, TO_GREY)), compute_surgery(Operation(LETTERS, TO_WIDE))
    assert torch.equal(surgery.source_filters, source)
    assert torch.equal(compute_surgery(Operation(FOREIGN)).source_filters, source)
    assert torch.allclose(surgery.weights[FIRST], source.sum(1, keepdim=True))
    assert torch.equal(move(Operation(target=TO_DIGITS), Training(1)).filters, source)
    assert not torch.equal(move(Operation(target=TO_DIGITS), Training(0)).filters, source)
    views.draw_filter_rows(ax, wide, wide.weights[FIRST], move(Operation(target=TO_WIDE), Training()))
    page = ax.images[0].get_array()[..., :3]
    assert [text.get_text() for text in ax.texts][:3] == ["source", "after surgery", "after the steps"]
    step = 3 * views.PIXEL + 2
    there = [bool((page[: step - 2, i * step : (i + 1) * step - 2] < 255).any()) for i in range(views.FILTERS)]
    assert there == [True] * 3 + [False] * 3, "the source has half of the filters"


def test_the_same_steps_move_the_same_and_more_steps_move_further_and_no_generator_moves():
    before = torch.random.get_rng_state()
    once, longer = (move(Operation(), Training(4, steps=steps)).report for steps in (1, 4))
    assert once == move.__wrapped__(Operation(), Training(4, steps=1)).report
    assert longer.moved["head.weight"] > once.moved["head.weight"]
    prepare(Operation(), Training())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_sentences_about_movement():
    def said(depth, policy, moved):
        return views.describe_movement(Training(depth, policy), moved and runs.Movement(moved, torch.zeros(1)))

    moved = MoveReport({"stem.1.running_var": 0.1, "head.bias": 0.2}, ())
    assert said(2, "keep", None) == "Frozen: stem and block1 (BatchNorm keep). Press Run for the 3 steps."
    assert said(0, "keep", moved) == "Nothing is frozen. 3 steps moved 1 weights, 1 statistics."
    assert said(3, "adapt", moved).startswith("Frozen: stem to block2 (BatchNorm adapt).")
    assert said(1, "adapt", moved).endswith("in frozen stages 0 and 1: they follow the target.")
    assert said(1, "forgotten", moved).endswith("in frozen stages 0 and 1: model.train() woke them.")
    assert said(1, "keep", MoveReport({"head.bias": 0.2}, ())).endswith("in frozen stages none.")


def test_the_table_has_every_tensor_and_says_how_far_it_moved():
    operation, training = Operation(target=TO_GREY), Training(1, "forgotten")
    surgery, moved = compute_surgery(operation), move(operation, training)
    table = views.surgery_table(surgery, training, moved)
    assert table.count("<tr") == 80 + 1
    assert "16×3×3×3 → 16×1×3×3" in table
    assert "▲ by 3 (frozen!)" in table
    assert table.count("○ still (frozen)") == 3
    assert 'tabindex="0"' in table
    assert "… not run yet (frozen)" in views.surgery_table(surgery, training, None)
    assert all(views.SIGNS[action] in views.counts_above_table(surgery, moved) for action in views.ACTIONS)
    odd = replace(surgery, steps=(Step("<script>", "skipped", (1,), None, "a < b"),))
    table = views.surgery_table(odd, training, None)
    assert "&lt;script&gt;" in table
    assert "<script>" not in table


@pytest.mark.parametrize(("shown", "count"), list(zip(views.ROWS_SHOWN, (80, 77, 1, 2, 0, 77, 6, 3), strict=True)))
def test_the_table_lists_what_is_asked_for(shown, count):
    operation, training = Operation(target=TO_GREY), Training(1, "forgotten")
    surgery, moved = compute_surgery(operation), move(operation, training)
    assert len(views.choose_rows(surgery, training, moved, shown)) == count
    assert ("No tensor is fresh." in views.surgery_table(surgery, training, moved, shown)) == (count == 0)


def test_controls_without_meaning_are_disabled_and_count_as_untouched(lab):
    names, batchnorm = lab.controls["names"], lab.controls["batchnorm"]
    lab.source = FOREIGN
    lab.names, lab.batchnorm = MAPPED, "adapt"
    assert (names.disabled, batchnorm.disabled) == (False, False)
    lab.source, lab.depth = LETTERS, 0
    assert (names.disabled, batchnorm.disabled) == (True, True)
    operation, training = lab.setting()
    assert (operation.names, training.batchnorm) == (AS_THEY_ARE, "keep")
    lab.depth = len(STAGES)
    assert "block4" in lab.sentence.value


def test_run_shows_what_moved_and_is_remembered(lab):
    assert "in frozen stages none" in lab.sentence.value
    lab.batchnorm = "forgotten"
    assert "Press Run" in lab.sentence.value
    lab.run()
    assert lab.wait(20)
    assert "in frozen stages 0 and 12: model.train() woke them." in lab.sentence.value
    assert "(frozen!)" in lab.controls["table"].value
    assert "Done: 3 steps." in lab.status.value
    lab.batchnorm = "keep"
    assert "in frozen stages none" in lab.sentence.value


def test_stop_says_how_far_it_came_and_keeps_nothing(lab):
    lab.steps = 300
    known = len(lab.movements)
    lab.run()
    lab.head = "carry"  # other controls answer meanwhile
    assert "does not fit 10" in lab.sentence.value
    lab.stop.click()
    assert lab.wait(5)
    assert re.search(r"Stopped after \d+ of 300 steps; nothing is kept.", lab.status.value)
    assert len(lab.movements) == known


def test_a_result_for_other_controls_says_so(lab):
    lab.steps = 30
    lab.run()
    lab.target = TO_DIGITS
    assert lab.wait(20)
    assert f"Done: 30 steps for {LETTERS} → {TO_GREY}." in lab.status.value
    assert "Press Run" in lab.sentence.value
