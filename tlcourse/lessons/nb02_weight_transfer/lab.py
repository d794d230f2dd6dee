"""The lab of notebook 02: carry weights into a network that is not quite the same, freeze, and see what moves."""

from collections.abc import Generator

from matplotlib.figure import Figure

from tlcourse.lessons.nb02_weight_transfer import surgery, surgery_views
from tlcourse.lessons.nb02_weight_transfer.surgery import Movement, Operation, Training
from tlcourse.notebook.controls import Dropdown, IntRange, Note
from tlcourse.notebook.jobs import job
from tlcourse.notebook.lab import Lab, page

POLICY_TIP = (
    "statistics of frozen stages: keep those of the source, adapt to the target, "
    "or forgotten: meant to keep them, but model.train() wakes them up"
)
HEAD_TIP = "what becomes of the source's last layer"


class WeightTransferLab(Lab):
    """Source, target, names, head, freeze depth and policy; a button takes steps, a table lists every tensor.

    `movements` holds what moved, by operation and training, for all that ran so far.
    """

    source = Dropdown(
        "source", tuple(surgery.SOURCES), tip="the trained network whose weights are carried", width="285px"
    )
    target = Dropdown(
        "target",
        tuple(surgery.TARGETS),
        "TinyResNet, 10 grey digits",
        "the fresh network that receives them",
        width="285px",
    )
    names = Dropdown("names", surgery.NAMES, tip="a key map translates foreign names; ours need none", width="205px")
    head = Dropdown("old head", surgery.HEADS, tip=HEAD_TIP, width="190px")
    depth = IntRange(
        "frozen stages", 0, 5, 2, "how many stages, from the pixels on, shall stay as they are", width="285px"
    )
    batchnorm = Dropdown("BatchNorm", surgery.POLICIES, tip=POLICY_TIP, width="180px")
    steps = Dropdown("steps", surgery.STEPS, tip="how many steps on one batch of 20 images", width="120px")
    shown = Dropdown("list", surgery_views.ROWS_SHOWN, tip="which tensors the table lists", width="205px")
    counts, table = Note(as_html=True), Note(as_html=True)
    rows = (
        ("source", "target", "names"),
        ("head", "depth", "batchnorm", "steps"),
        ("run", "stop", "bar", "status"),
        "sentence",
        "picture",
        ("shown", "counts"),
        "table",
    )

    def __init__(self) -> None:
        start = Operation(), Training()
        self.movements: dict[tuple[Operation, Training], Movement] = {start: _run_to_the_end(*start)}
        super().__init__()

    def setting(self) -> tuple[Operation, Training]:
        """Return what the controls say; a control without meaning here counts as if it were not touched."""
        names = surgery.NAMES[0] if self.controls["names"].disabled else self.names
        policy = surgery.POLICIES[0] if self.controls["batchnorm"].disabled else self.batchnorm
        return Operation(self.source, self.target, names, self.head), Training(self.depth, policy, self.steps)

    def adjust(self) -> None:
        """Switch off what has no meaning here, and fill the table."""
        self.controls["names"].disabled = self.source != surgery.FOREIGN
        self.controls["batchnorm"].disabled = self.depth == 0
        self.controls["run"].description = f"Run {self.steps} steps"
        operation, training = setting = self.setting()
        done, movement = surgery.compute_surgery(operation), self.movements.get(setting)
        self.counts = surgery_views.counts_above_table(done, movement)
        self.table = surgery_views.surgery_table(done, training, movement, self.shown)

    def look(
        self, source: str, target: str, names: str, head: str, depth: int, batchnorm: str, steps: int
    ) -> tuple[Figure, str]:
        """Return the picture and the sentences for the controls' values."""
        operation, training = setting = self.setting()
        done, movement = surgery.compute_surgery(operation), self.movements.get(setting)
        figure, (left, right) = page((8.4, 2.4), (0.14, 0.02, 0.43, 0.96), (0.715, 0.02, 0.28, 0.96))
        surgery_views.draw_stages(left, done, training, movement)
        surgery_views.draw_filter_rows(right, done, done.weights[surgery.FIRST], movement)
        said = surgery_views.describe_surgery(operation, done)
        return figure, f"{said} {surgery_views.describe_movement(training, movement)}"

    @job("Run", "take the steps, and compare every tensor", width="140px")
    def run(self) -> Generator[float | tuple[float, str], None, str]:
        """Take the steps in the background; the network is built at once, where PyTorch's generator belongs."""
        operation, training = setting = self.setting()
        model = surgery.prepare(operation, training)
        yield 0.0, f"{training.steps} steps are running."
        try:
            movement = yield from surgery.compute_movement(model, operation, training)
        except GeneratorExit:
            taken = round(self.bar.value * training.steps)
            return f"Stopped after {taken} of {training.steps} steps; nothing is kept."
        self.movements[setting] = movement
        elsewhere = "" if self.setting() == setting else f" for {operation.source} → {operation.target}"
        return f"Done: {training.steps} steps{elsewhere}."


def _run_to_the_end(operation: Operation, training: Training) -> Movement:
    steps = surgery.compute_movement(surgery.prepare(operation, training), operation, training)
    while True:
        try:
            next(steps)
        except StopIteration as finished:
            return finished.value
