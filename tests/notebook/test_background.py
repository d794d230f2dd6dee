"""A task on its own thread: one at a time, stopped within one step, its errors passed on, gone when closed."""

import threading
import time

from tlcourse.notebook.background import Background


class Ends:
    """Remembers how a task ended."""

    def __init__(self):
        self.how = []

    def callbacks(self):
        return {
            "done": lambda result: self.how.append(("done", result)),
            "failed": lambda error: self.how.append(("failed", repr(error))),
            "stopped": lambda: self.how.append(("stopped", None)),
        }


def until_stopped(ticket):
    while True:
        ticket.check()
        time.sleep(0.001)


def test_a_task_ends_with_its_result():
    ends, background = Ends(), Background()
    assert background.start(lambda ticket: 7, **ends.callbacks())
    assert background.wait(5)
    assert ends.how == [("done", 7)]
    assert not background.running


def test_an_error_is_passed_on():
    ends, background = Ends(), Background()
    background.start(lambda ticket: 1 / 0, **ends.callbacks())
    background.wait(5)
    assert ends.how == [("failed", "ZeroDivisionError('division by zero')")]


def test_a_second_task_is_refused_while_the_first_runs():
    ends, background = Ends(), Background()
    assert background.start(until_stopped, **ends.callbacks())
    assert not background.start(lambda ticket: 1, **ends.callbacks())
    background.stop()
    assert background.wait(5)
    assert ends.how == [("stopped", None)]
    assert background.start(lambda ticket: 2, **ends.callbacks())
    background.wait(5)
    assert ends.how[-1] == ("done", 2)


def test_whoever_hears_of_the_end_may_start_the_next():
    background, ends = Background(), Ends()
    again = ends.callbacks() | {"done": lambda result: background.start(lambda ticket: 2, **ends.callbacks())}
    background.start(lambda ticket: 1, **again)
    for _ in range(500):
        if ends.how:
            break
        time.sleep(0.01)
    assert ends.how == [("done", 2)]


def test_closing_leaves_no_thread():
    background = Background()
    background.start(until_stopped, **Ends().callbacks())
    assert [thread for thread in threading.enumerate() if thread.name == "tlcourse lab"]
    assert background.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "tlcourse lab"]
    assert background.close()
