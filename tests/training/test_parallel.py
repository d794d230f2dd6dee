import threading
import time

import pytest
import torch

from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.repro import seeded
from tlcourse.training.parallel import side_by_side


def test_answers_come_in_the_order_of_the_plan():
    plan = [(0.05, "late"), (0.0, "soon"), (0.02, "later")]
    answers = side_by_side(lambda wait, name: (time.sleep(wait), name)[1], plan, progress=False)
    assert answers == ["late", "soon", "later"]
    assert side_by_side(print, [], progress=False) == []


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_two_calls_meet_each_other_and_each_has_one_thread(monkeypatch):
    monkeypatch.setenv("TLCOURSE_DEVICE", "cpu")
    meeting = threading.Barrier(2, timeout=5)  # passes only when both are there
    assert side_by_side(lambda: (meeting.wait(), torch.get_num_threads())[1], [(), ()], progress=False) == [1, 1]


@pytest.mark.usefixtures("two_threads")
def test_afterwards_old_and_new_threads_have_what_they_had():
    side_by_side(lambda: None, [()] * 3, progress=False)
    seen = []
    thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert [torch.get_num_threads(), *seen] == [2, 2]


def test_an_error_comes_out_and_the_rest_is_dropped():
    done = []

    def call(number):
        if number == 0:
            raise ValueError("the first one failed")
        time.sleep(0.02)
        done.append(number)

    with pytest.raises(ValueError, match="the first one failed"):
        side_by_side(call, [(n,) for n in range(40)], progress=False)
    assert len(done) < 30


def test_networks_made_at_the_same_time_are_those_made_alone():
    def make(seed):
        with seeded("weights", seed):
            time.sleep(0.001)  # lets the others try to get in between
            return TinyResNet(10).stem[0].weight

    alone = [make(seed) for seed in range(6)]
    together = side_by_side(make, [(seed,) for seed in range(6)], progress=False)
    assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))
