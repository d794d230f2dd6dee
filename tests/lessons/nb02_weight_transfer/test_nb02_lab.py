"""Weight surgery, without a screen: every control to both ends and the middle, steps that run, stop and fail."""

import functools
import re

import matplotlib as mpl
import pytest
import torch

mpl.use("agg")

from tlcourse.lessons.nb02_weight_transfer import lab as lab_module
from tlcourse.lessons.nb02_weight_transfer import surgery as runs
from tlcourse.lessons.nb02_weight_transfer import surgery_views as views
from tlcourse.lessons.nb02_weight_transfer.figures import STATISTICS
from tlcourse.lessons.nb02_weight_transfer.surgery import Operation, Training, compute_surgery, prepare
from tlcourse.models.pretrained import pretrained
from tlcourse.transfer.surgery import Step
from tlcourse.transfer.weights import MoveReport

LETTERS, DIGITS, GREY_LETTERS, FOREIGN, CNN = runs.SOURCES
TO_DIGITS, TO_GREY, TO_WIDE, TO_LETTERS, TO_CNN = runs.TARGETS


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
    ("operation", "counts"),
    [
        (Operation(LETTERS, TO_DIGITS), (78, 0, 2, 0)),
        (Operation(DIGITS, TO_DIGITS, head="carry"), (80, 0, 0, 0)),
        (Operation(LETTERS, TO_LETTERS, head="carry"), (80, 0, 0, 0)),
        (Operation(DIGITS, TO_LETTERS, head="carry"), (78, 2, 0, 0)),
        (Operation(LETTERS, TO_WIDE), (13, 65, 2, 0)),
        (Operation(LETTERS, TO_GREY), (77, 1, 2, 0)),
        (Operation(GREY_LETTERS, TO_DIGITS), (77, 1, 2, 0)),
        (Operation(FOREIGN, TO_DIGITS), (0, 0, 80, 80)),
        (Operation(FOREIGN, TO_DIGITS, "with a key map"), (78, 0, 2, 0)),
        (Operation(CNN, TO_DIGITS), (0, 0, 8, 80)),
        (Operation(CNN, TO_CNN), (6, 0, 2, 0)),
    ],
)
def test_every_tensor_of_an_operation(operation, counts):
    assert tuple(compute_surgery(operation).count_actions().values()) == counts


def test_a_head_is_left_behind_on_purpose_or_because_it_does_not_fit():
    def why(head):
        return next(s.why for s in compute_surgery(Operation(head=head)).steps if s.name == "head.weight")

    assert (why("leave behind"), why("carry")) == ("left behind on purpose", "no rule makes the shape fit")


@pytest.mark.parametrize("policy", runs.POLICIES)
@pytest.mark.parametrize("depth", [0, 3, 5])
def test_what_moves_follows_depth_and_policy(policy, depth):
    surgery, moved = compute_surgery(Operation()), move(Operation(), Training(depth, policy))
    frozen = surgery.stages[:depth]
    expected = sum(s.name.split(".")[0] in frozen and s.name.endswith(STATISTICS) for s in surgery.steps)
    assert moved.count(frozen) == (0, 0 if policy == "keep" else expected)
    assert all(name.split(".")[0] in frozen for name in moved.report.stayed)


def test_filters_are_those_of_source_surgery_and_training():
    source = pretrained("tiny_resnet", "letters").stem[0].weight
    surgery = compute_surgery(Operation(target=TO_GREY))
    assert torch.equal(surgery.source_filters, source)
    assert torch.allclose(surgery.weights["stem.0.weight"], source.sum(1, keepdim=True))
    assert torch.equal(move(Operation(), Training(1)).filters, source)
    assert not torch.equal(move(Operation(), Training(0)).filters, source)
    assert compute_surgery(Operation(CNN)).source_filters.shape == (32, 3, 3, 3)


def test_the_same_steps_move_the_same_and_more_steps_move_further():
    once, longer = (move(Operation(), Training(4, steps=steps)).report for steps in (1, 4))
    again = move.__wrapped__(Operation(), Training(4, steps=1)).report
    assert once == again
    assert longer.moved["head.weight"] > once.moved["head.weight"]


def test_no_generator_moves():
    model = prepare(Operation(), Training())
    before = torch.random.get_rng_state()
    list(runs.compute_movement(model, Operation(), Training(steps=1)))
    prepare(Operation(), Training())
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Operation("LeNet"), "source is 'LeNet'. Expected one of: 'TinyResNet, letters'"),
        (lambda: Operation(head="burn"), "head is 'burn'. Expected one of: 'leave behind', 'carry'"),
        (lambda: Operation(names="with a key map"), "there is no key map for 'TinyResNet, letters'"),
        (lambda: Training(batchnorm="melt"), "batchnorm is 'melt'"),
        (lambda: Training(steps=0), "got 0 steps"),
        (lambda: prepare(Operation(target=TO_CNN), Training(4)), "depth is 4, but SmallCNN has 3 stages"),
    ],
)
def test_what_there_is_not_is_refused(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_sentences_about_heads():
    def said(*operation):
        return views.describe_surgery(Operation(*operation), compute_surgery(Operation(*operation)))

    names = "as they are"
    assert said(LETTERS, TO_DIGITS).endswith("78 copied, 0 adapted, 2 skipped, 0 fresh. The old head stays behind.")
    assert said(LETTERS, TO_DIGITS, names, "carry").endswith("The old head scores 35 classes and does not fit 10.")
    assert said(DIGITS, TO_DIGITS, names, "carry").endswith("The head came along.")
    assert said(DIGITS, TO_WIDE, names, "carry").endswith("The head came along, into the corner.")
    assert said(DIGITS, TO_LETTERS, names, "carry").endswith("it fits in shape, not in meaning.")
    assert said(FOREIGN, TO_DIGITS).endswith("No name agrees, so nothing was carried.")


def test_sentences_about_movement():
    surgery = compute_surgery(Operation())

    def said(depth, policy, moved):
        return views.describe_movement(surgery, Training(depth, policy), moved and runs.Movement(moved, torch.zeros(1)))

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
    assert table.count("<tr>") == 80 + 1
    assert "16×3×3×3 → 16×1×3×3" in table
    assert "<b>▲ by 3 (frozen!)</b>" in table
    assert table.count("○ still (frozen)") == 3
    assert 'tabindex="0"' in table
    assert "… not run yet (frozen)" in views.surgery_table(surgery, training, None)
    assert all(views.SIGNS[action] in views.counts_above_table(surgery, moved) for action in views.ACTIONS)


@pytest.mark.parametrize(("shown", "count"), list(zip(views.ROWS_SHOWN, (80, 77, 1, 2, 0, 77, 6, 3), strict=True)))
def test_the_table_lists_what_is_asked_for(shown, count):
    operation, training = Operation(target=TO_GREY), Training(1, "forgotten")
    surgery, moved = compute_surgery(operation), move(operation, training)
    assert len(views.choose_rows(surgery, training, moved, shown)) == count


def test_names_in_the_table_are_escaped():
    surgery = compute_surgery(Operation())
    odd = Step("<script>", "skipped", (1,), None, "a < b")
    table = views.surgery_table(type(surgery)(**{**vars(surgery), "steps": (odd,)}), Training(), None)
    assert "&lt;script&gt;" in table
    assert "<script>" not in table
    assert "a &lt; b" in table


def test_changes_share_one_scale_and_a_still_filter_is_grey(ax):
    surgery = compute_surgery(Operation())
    before = torch.zeros(6, 3, 3, 3)
    after = before.clone()
    after[0], after[1] = 1.0, 0.5
    views.draw_filter_rows(ax, surgery, before, runs.Movement(MoveReport({}, ()), after), 3)
    change = ax.images[-1].get_array()
    assert [int(change[15, 16 + 32 * i, 0]) for i in range(3)] == [255, 191, 128]
    texts = [text.get_text() for text in ax.texts]
    assert "change, scaled\n(up to 1)" in texts


def test_controls_without_meaning_are_disabled(lab):
    names, depth, batchnorm = (lab.controls[name] for name in ("names", "depth", "batchnorm"))
    assert names.disabled
    lab.source, lab.depth = FOREIGN, 5
    assert not names.disabled
    lab.target = TO_CNN
    assert batchnorm.disabled
    assert (depth.max, depth.value) == (3, 3)
    lab.target, lab.depth = TO_WIDE, 0
    assert depth.max == 5
    assert batchnorm.disabled


def test_names_and_the_list_change_what_is_seen(lab):
    lab.source, lab.target = FOREIGN, TO_DIGITS
    said = []
    for names in runs.NAMES:
        lab.names = names
        said.append(lab.sentence.value)
    assert len(set(said)) == 2
    tables = set()
    for shown in views.ROWS_SHOWN:
        lab.shown = shown
        tables.add(lab.controls["table"].value)
    assert len(tables) > 5


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
