"""The base of all labs, on two that compute nothing: what moves draws, what fails is seen, what runs can be stopped."""

import threading

import pytest
from matplotlib.figure import Figure

from tlcourse.notebook.controls import Choice, Dropdown, IntRange, Note, Slider, Text
from tlcourse.notebook.jobs import action, job
from tlcourse.notebook.lab import Columns, Lab
from tlcourse.notebook.tabs import Tabs


class ToyLab(Lab):
    number = Slider("number", (1, 2, 3), 2, "which number", form="{:.1f}")
    fruit = Choice("fruit", lambda lab: lab.fruits, tip=("red", "yellow"))
    size = IntRange("size", 0, lambda lab: len(lab.fruits), 1, "how large")
    unit = Dropdown("unit", {"grams": 1, "kilograms": 1000}, 1000, "of the size")
    bold = Choice("bold", (False, True), tip="thick letters")
    name = Text("name", "who looks", "nobody")
    words = Note()
    rows = (("number", "fruit"), Columns(2, ("size", "unit")), ("bold", "name"), ("more", ("words", "twice")))

    def __init__(self):
        self.fruits, self.drawn, self.extra = ["apple", "lemon"], [], 0
        super().__init__()

    @action("more", "adds one")
    def more(self):
        self.extra += 1

    @action("twice", "moves two controls")
    def twice(self):
        self.number, self.size = 3, 2

    def adjust(self):
        self.words = f"<{self.number}>"
        self.controls["bold"].disabled = self.number == 1

    def look(self, number, fruit, size, unit, bold):
        if number == 3 and fruit == "lemon":
            raise ZeroDivisionError("lemons by three")
        self.drawn.append(number)
        sentence = f"{number} of {fruit}, {size * unit + self.extra} large & {'bold' if bold else 'thin'}, all of it."
        return Figure((1, 1)), sentence


@pytest.fixture
def lab():
    toy = ToyLab()
    yield toy
    toy.close()


def test_it_begins_with_a_picture_of_the_first_values(lab):
    assert "2 of apple, 1000 large &amp; thin, all of it." in lab.sentence.value
    assert "2 of apple" in lab.picture.value
    assert lab.controls["number"].options[0] == ("1.0", 1)
    assert lab.controls["unit"].label == "kilograms"
    assert lab.controls["size"].max == 2
    assert lab.words == "&lt;2&gt;"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("number", 1, "1 of apple"),
        ("fruit", "lemon", "2 of lemon"),
        ("size", 2, "2000 large"),
        ("unit", 1, "1 large"),
        ("bold", True, "bold"),
    ],
)
def test_whatever_moves_is_drawn(lab, name, value, said):
    setattr(lab, name, value)
    assert getattr(lab, name) == value
    assert said in lab.sentence.value
    assert said in lab.picture.value


def test_what_look_does_not_ask_for_draws_nothing(lab):
    lab.name = "me"
    assert lab.drawn == [2]


def test_a_picture_is_kept_by_its_values_until_something_else_changes(lab):
    lab.number = 1
    lab.number = 2
    assert lab.drawn == [2, 1]
    lab.more()
    assert "1001 large" in lab.sentence.value
    lab.number = 1
    assert lab.drawn == [2, 1, 2, 1]


def test_an_error_goes_away_on_the_way_back(lab):
    lab.fruit = "lemon"
    before = lab.picture.value
    with pytest.raises(ZeroDivisionError):
        lab.number = 3
    lab.number = 2
    assert lab.picture.value == before
    assert "2 of lemon" in lab.sentence.value


def test_a_control_with_the_name_of_a_method_of_labs_is_refused():
    class Eager(Lab):
        forget = Slider("forget", (0, 1), 0, "how much is forgotten")

    with pytest.raises(ValueError, match=r"Eager calls a control 'forget', as a method of every lab"):
        Eager()


def test_a_control_that_stands_nowhere_is_refused():
    class Forgetful(ToyLab):
        rows = (("number", "fruit"),)

    with pytest.raises(ValueError, match=r"Forgetful.rows lacks bold, more, name, size, twice, unit, words"):
        Forgetful()


# What takes time


class CountingLab(Lab):
    """Counts to four; every step waits until the test lets it go."""

    steps = Slider("steps", (4, 8), tip="how far")

    def __init__(self):
        self.gate, self.reached, self.done, self.ended = threading.Semaphore(0), threading.Event(), 0, []
        super().__init__()

    def look(self, steps):
        return Figure((1, 1)), f"Of {steps} steps, {self.done} were taken so far."

    @job("Count", "counts")
    def count(self):
        steps, self.done = self.steps, 0
        self.ended.append(threading.current_thread().name)
        try:
            for self.done in range(1, steps + 1):
                yield self.done / steps, f"step {self.done}"
                self.reached.set()
                assert self.gate.acquire(timeout=20)
        except GeneratorExit:
            self.ended.append("stopped")
            return f"Stopped after {self.done}."
        return f"Counted to {steps}."

    @job("Break", "breaks", style="")
    def fail(self):
        yield 0.5
        raise OSError("no paper")


@pytest.fixture
def counting():
    lab = CountingLab()
    yield lab
    lab.gate.release(100)
    lab.close()


def lab_threads():
    return [thread for thread in threading.enumerate() if thread.name == "tlcourse lab"]


def test_a_job_runs_in_the_background_and_tells_how_far_it_is(counting):
    counting.count()
    assert counting.reached.wait(20)
    assert counting.running
    assert counting.ended == [threading.main_thread().name]  # up to its first step it runs here
    assert (counting.controls["count"].disabled, counting.stop.disabled) == (True, False)
    assert counting.bar.value == 0.25
    assert counting.status.value == "step 1"
    counting.steps = 8  # other controls answer meanwhile
    assert "Of 8 steps" in counting.sentence.value
    counting.gate.release(100)
    assert counting.wait(20)
    assert counting.status.value == "Counted to 4."
    assert "4 were taken" in counting.sentence.value
    assert (counting.controls["count"].disabled, counting.stop.disabled) == (False, True)
    assert counting.bar.layout.visibility == "hidden"


def test_a_second_job_is_refused_and_the_first_goes_on(counting):
    counting.count()
    counting.fail()
    assert counting.status.value == "Refused: Count is not over. Wait, or press Stop."
    assert len(lab_threads()) == 1
    counting.gate.release(100)
    assert counting.wait(20)
    assert counting.done == 4


def test_stop_takes_effect_at_the_next_step_and_another_job_can_start(counting):
    counting.count()
    assert counting.reached.wait(20)
    counting.stop.click()
    counting.gate.release()
    assert counting.wait(20)
    assert counting.ended[-1] == "stopped"
    assert counting.done <= 2
    assert counting.status.value == f"Stopped after {counting.done}."
    counting.gate.release(100)
    counting.controls["count"].click()
    assert counting.wait(20)
    assert counting.done == 4


def test_an_error_in_a_job_is_shown_kept_and_raised_by_wait(counting):
    counting.fail()
    with pytest.raises(OSError, match="no paper"):
        counting.wait(20)
    assert "The lab stopped: no paper" in counting.sentence.value
    assert counting.status.value == "Break failed."
    assert not counting.running
    counting.gate.release(100)
    counting.count()
    assert counting.wait(20)
    assert counting.failure is None


def test_closing_stops_what_runs_and_leaves_no_thread(counting):
    counting.count()
    assert counting.reached.wait(20)
    counting.gate.release(1)
    assert counting.close()
    assert lab_threads() == []


# Several labs


def test_tabs_make_a_lab_when_it_is_first_looked_at():
    tabs = Tabs("look at", {"toy": ToyLab, "counting": CountingLab}, ("a toy", "a count"))
    assert list(tabs.made) == ["toy"]
    assert "tlcourse-lab" in tabs.widget._dom_classes
    counting = tabs.lab("counting")
    assert tabs.stack.selected_index == 1
    assert tabs.stack.children[1].children == (counting.widget,)
    assert tabs.lab("toy") is tabs.made["toy"]
    assert tabs.close()
    assert counting.picture.comm is None
    assert tabs.titles.comm is None


def test_a_tab_that_cannot_be_made_says_why():
    tabs = Tabs("look at", {"toy": ToyLab, "broken": Lab}, ("a toy", "broken"))
    with pytest.raises(NotImplementedError):
        tabs.titles.value = "broken"
    assert "has no method `look`" in tabs.stack.children[1].children[0].value
    tabs.close()
