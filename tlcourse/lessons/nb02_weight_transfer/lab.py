"""The lab of notebook 02: carry weights into a network that is not quite the same, freeze, and see what moves."""

import html
from collections.abc import Callable, Iterable

import ipywidgets as widgets
from matplotlib.figure import Figure

from tlcourse.lessons.nb02_weight_transfer import surgery_runs as runs
from tlcourse.lessons.nb02_weight_transfer import surgery_views as views
from tlcourse.notebook.background import Background, Ticket
from tlcourse.notebook.handmade_lab import HandmadeLab
from tlcourse.notebook.lab import page

POLICY_TIP = (
    "statistics of frozen stages: keep those of the source, adapt to the target, "
    "or forgotten: meant to keep them, but model.train() wakes them up"
)


class SurgeryLab(HandmadeLab):
    """Source, target, names, head, freeze depth and policy; a button takes steps, a table lists every tensor.

    Attributes:
        movements: what moved, by operation and training, for all that ran so far.
        failure: what the last run raised, or None.
    """

    def __init__(self) -> None:
        self.movements: dict[tuple[runs.Operation, runs.Training], runs.Movement] = {}
        self.failure: BaseException | None = None
        self._background, self._adjusting = Background(), False
        self._make_controls()
        self._make_run_row()
        self._adjust()
        first = self.setting()
        self.movements[first] = runs.compute_movement(runs.prepare(*first), *first)
        super().__init__([self.source, self.target, self.names, self.head, self.depth, self.batchnorm, self.steps])
        self.shown.observe(self._guarded(self._list), "value")
        self._arrange()

    def _make_controls(self) -> None:
        self.source = _dropdown(runs.SOURCES, "source", "the trained network whose weights are carried", "285px")
        self.target = _dropdown(runs.TARGETS, "target", "the fresh network that receives them", "285px")
        self.target.value = "TinyResNet, 10 grey digits"
        self.names = _dropdown(runs.NAMES, "names", "a key map translates foreign names; ours need none", "205px")
        self.head = _dropdown(runs.HEADS, "old head", "what becomes of the source's last layer", "190px")
        self.depth = widgets.IntSlider(value=2, min=0, max=5, description="frozen stages", continuous_update=False)
        self.depth.tooltip = "how many stages, from the pixels on, shall stay as they are"
        self.depth.layout.width = "285px"
        self.depth.style.description_width = "initial"
        self.batchnorm = _dropdown(runs.POLICIES, "BatchNorm", POLICY_TIP, "180px")
        self.steps = _dropdown(runs.STEPS, "steps", "how many steps on one batch of 20 images", "120px")

    def _make_run_row(self) -> None:
        self.run = widgets.Button(
            tooltip="take the steps, and compare every tensor", icon="play", button_style="primary"
        )
        self.stop = widgets.Button(
            description="Stop", tooltip="stop after the present step", icon="stop", disabled=True
        )
        self.run.layout.width, self.stop.layout.width = "140px", "80px"
        self.bar = widgets.IntProgress(min=0, max=3, tooltip="steps taken")
        self.bar.layout.width = "110px"
        self.status = widgets.HTML("Ready.")
        self.shown = _dropdown(views.ROWS_SHOWN, "list", "which tensors the table lists", "205px")
        self.counts, self.table = widgets.HTML(), widgets.HTML()
        self.run.on_click(self._guarded(self._start))
        self.stop.on_click(lambda _button: self._background.stop())

    def _arrange(self) -> None:
        wrap = widgets.Layout(flex_flow="row wrap")
        rows = (
            [self.source, self.target, self.names],
            [self.head, self.depth, self.batchnorm, self.steps],
            [self.run, self.stop, self.bar, self.status],
            [self.shown, self.counts],
        )
        self.text.layout.margin = "-10px 0 -14px 2px"  # closer than paragraphs usually are
        *above, below = (widgets.HBox(row, layout=wrap) for row in rows)
        self.widget.children = (*above, self.text, self.picture, below, self.table)

    def setting(self) -> tuple[runs.Operation, runs.Training]:
        """Return what the controls say; a control without meaning here counts as if it were not touched."""
        names = runs.NAMES[0] if self.names.disabled else self.names.value
        policy = runs.POLICIES[0] if self.batchnorm.disabled else self.batchnorm.value
        operation = runs.Operation(self.source.value, self.target.value, names, self.head.value)
        return operation, runs.Training(self.depth.value, policy, self.steps.value)

    def look(self) -> tuple[Figure, str]:
        """Return the picture and the sentences for the controls' values, and fill the table."""
        self._adjust()
        operation, training = setting = self.setting()
        surgery, movement = runs.compute_surgery(operation), self.movements.get(setting)
        self._list()
        figure, (left, right) = page((8.4, 2.4), (0.14, 0.02, 0.43, 0.96), (0.715, 0.02, 0.28, 0.96))
        views.draw_stages(left, surgery, training, movement)
        before = surgery.weights[runs.TARGETS[operation.target].first_conv]
        views.draw_filter_rows(right, surgery, before, movement, training.steps)
        sentences = views.describe_surgery(operation, surgery), views.describe_movement(surgery, training, movement)
        return figure, " ".join(sentences)

    def close(self) -> None:
        """Stop what runs, and take the lab off the page."""
        self._background.close()
        for row in self.widget.children:
            for control in (*getattr(row, "children", ()), row):
                control.close()
        self.widget.close()

    def _update(self, change: object) -> None:
        if self._adjusting:
            return
        if change is not None and not self._background.running:
            self._say("Ready.")
        super()._update(change)

    def _adjust(self) -> None:
        """Disable what has no meaning here, and let the slider end at the target's last stage."""
        self._adjusting = True  # what is set here must not draw
        stages, batchnorm = runs.parts_of(self.target.value)
        self.depth.max = len(stages)
        self.names.disabled = runs.SOURCES[self.source.value].key_map is None
        self.batchnorm.disabled = not batchnorm or self.depth.value == 0
        self.run.description = f"Run {self.steps.value} steps"
        self._adjusting = False

    def _list(self, _change: object = None) -> None:
        operation, training = setting = self.setting()
        surgery, movement = runs.compute_surgery(operation), self.movements.get(setting)
        self.counts.value = views.counts_above_table(surgery, movement)
        self.table.value = views.surgery_table(surgery, training, movement, self.shown.value)

    def _start(self, _button: widgets.Button) -> None:
        """Take the steps on a thread of their own; the network is built here, where PyTorch's generator belongs."""
        if self._background.running:
            self._say("Refused: steps are running already. Wait, or press Stop.")
            return
        operation, training = setting = self.setting()
        model = runs.prepare(operation, training)
        self.failure, self.bar.max, self.bar.value, self.stop.disabled = None, training.steps, 0, False
        self._say(f"{training.steps} steps are running.")

        def task(ticket: Ticket) -> runs.Movement:
            def after_step(step: int) -> None:
                self.bar.value = step
                ticket.check()

            return runs.compute_movement(model, operation, training, after_step)

        def done(movement: runs.Movement) -> None:
            self.movements[setting] = movement
            elsewhere = "" if self.setting() == setting else f" for {operation.source} → {operation.target}"
            self._end(f"Done: {training.steps} steps{elsewhere}.")
            self._update(None)

        def stopped() -> None:
            self._end(f"Stopped after {self.bar.value} of {training.steps} steps; nothing is kept.")

        self._background.start(task, done, self._fail, stopped)

    def _fail(self, error: BaseException) -> None:
        self.failure = error
        self._end("The run failed.")
        self._complain(error)

    def _end(self, sentence: str) -> None:
        self.stop.disabled = not self._background.running
        self._say(sentence)

    def _say(self, sentence: str) -> None:
        self.status.value = html.escape(sentence)

    def _guarded(self, callback: Callable[[object], None]) -> Callable[[object], None]:
        """Return the callback such that what it raises is also shown."""

        def guarded(event: object) -> None:
            try:
                callback(event)
            except Exception as error:
                self._complain(error)
                raise

        return guarded


def _dropdown(options: Iterable[object], description: str, tooltip: str, width: str) -> widgets.Dropdown:
    dropdown = widgets.Dropdown(options=list(options), description=description, tooltip=tooltip)
    dropdown.style.description_width, dropdown.layout.width = "initial", width
    return dropdown


def operate() -> widgets.Widget:
    """Return the lab as one widget.

    Returns:
        The widget, to be shown as the last line of a cell.
    """
    return SurgeryLab().widget
