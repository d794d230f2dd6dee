"""The lab of notebook 03: choose how to train, run it in the background, and compare the runs."""

from collections.abc import Iterator
from dataclasses import replace

from matplotlib.figure import Figure

from tlcourse.lessons.nb03_fine_tuning import lab_figures as pictures
from tlcourse.lessons.nb03_fine_tuning import lab_runs as compute
from tlcourse.lessons.nb03_fine_tuning.lab_runs import SHORT, STAGES, Found, Run, Settings
from tlcourse.notebook.controls import Dropdown, Note, Slider
from tlcourse.notebook.jobs import action, job
from tlcourse.notebook.lab import Columns, Lab
from tlcourse.notebook.results import save_results
from tlcourse.training.loop import NonFiniteLossError

FILE = "training-lab.csv"


class TrainingLab(Lab):
    """Settings of a training, buttons, the last six runs laid over each other in a picture, and a table of all.

    `runs` holds every run by its number and begins with two that came with the course; `found` is the last range test.
    """

    strategy = Dropdown("strategy", compute.OFFERED, "LP-FT", "how the carried-over network is trained")
    per_class = Slider("labels per class", compute.LABELS, 5, "labelled images of every class to learn from")
    lr = Slider("highest rate", compute.RATES, 0.003, "learning rate of AdamW at the top of its cycle", form="{:g}")
    depth = Slider(f"frozen (of {STAGES})", range(STAGES + 1), 0, "stages that stay as they are, from pixels up")
    strength = Slider("L2-SP pull", compute.STRENGTHS, 0.1, "pull towards the start, for L2-SP alone", form="{:g}")
    epochs = Slider("epochs", range(1, compute.MOST_EPOCHS + 1), SHORT.epochs, f"each of {SHORT.steps} updates")
    plan = Note()
    table = Note(as_html=True)

    rows = (
        Columns(3, ("strategy", "per_class", "lr", "depth", "strength", "epochs"), "8em"),
        ("run", "stop", "find", "take", "csv", "clear", "bar"),
        *("status", "sentence", "plan", "picture", "table"),
    )

    def __init__(self) -> None:
        self.runs = {run.number: run for run in compute.SHIPPED_RUNS}
        self.found: Found | None = None
        super().__init__()
        self.status.layout = {"height": "30px", "overflow": "hidden auto"}
        self.sentence.layout = {"height": "60px", "overflow": "hidden auto"}  # so that the picture stays where it is

    @property
    def settings(self) -> Settings:
        """Return what the controls say."""
        return Settings(self.strategy, self.per_class, self.lr, self.depth, self.strength, self.epochs)

    def adjust(self) -> None:
        """Say what comes next, and switch off what means nothing to the strategy."""
        settings = self.settings
        self.controls["depth"].disabled, self.controls["strength"].disabled = settings.thaws, not settings.pulls
        self.plan = f"Next: {settings}{', which frees the stages one by one' * settings.thaws}."
        self.controls["take"].disabled = self.found is None
        if self.found:
            self.controls["take"].description = f"Take rate {compute.nearest_lr(self.found.test.suggestion):g}"
        runs = pictures.table_of(list(self.runs.values()))
        self.table = runs.to_html(index=False, border=0, escape=False)

    def look(self, lr: float) -> tuple[Figure, str]:
        """Return the picture of the runs, and sentences on the last one, the best and the range test."""
        runs = list(self.runs.values())
        said = [pictures.describe_runs(runs), *([pictures.describe_found(self.found)] if self.found else [])]
        return pictures.draw_runs(runs, self.found, lr), " ".join(said)

    @job("Run", "train as the controls say", width="90px")
    def run(self) -> Iterator[float]:
        """Train, and let the picture grow after every epoch."""
        number, settings = max(self.runs, default=0) + 1, self.settings
        prepared = compute.prepare(settings)
        self.runs[number] = Run(number, settings)
        try:
            yield 0.0
            for done, run in enumerate(compute.compute_run(self.runs[number], prepared), 1):
                if len(run.measured) > len(self.runs[number].measured):
                    self.runs[number] = run
                    self.redraw()
                yield min(1.0, done / (settings.epochs * SHORT.steps))
        except GeneratorExit:
            return self._ended(number, "stopped", f"Run {number} was stopped")
        except NonFiniteLossError as error:
            return self._ended(number, "broke", f"Run {number} broke: {error}")
        except Exception:
            self.runs.pop(number)
            raise
        self.runs[number] = run
        return f"Run {number} took {run.seconds:.1f} s."

    def _ended(self, number: int, state: str, sentence: str) -> str:
        """Keep what was measured of a run that did not come to its end; it cannot be the best."""
        if self.runs[number].measured:
            self.runs[number] = replace(self.runs[number], state=state)
            return f"{sentence}. It stays in the table, but cannot be the best."
        self.runs.pop(number)
        return f"{sentence} before its first epoch was over. There is nothing to keep."

    @job("Find a rate", "raise the rate from 0.0001 on, batch by batch, and watch the loss", width="110px", style="")
    def find(self) -> Iterator[float]:
        """Make a range test of what the controls say."""
        settings = self.settings
        prepared = compute.prepare(settings)
        yield 0.0
        for test in compute.compute_range(settings, prepared):
            yield len(test.rates) / compute.FOUND_IN
        self.found = Found(test, settings)
        return f"The range test suggests {compute.nearest_lr(test.suggestion):g}."

    @action("Take the rate", "set the rate to what the range test suggests", width="140px")
    def take(self) -> None:
        """Set the learning rate to what the last range test suggests."""
        self.lr = compute.nearest_lr(self.found.test.suggestion)

    @action("CSV", f"write all runs, epoch by epoch, into {FILE} beside the notebook", width="64px")
    def csv(self) -> None:
        """Write all runs, whole or not at all."""
        try:
            path = save_results(compute.run_frame(list(self.runs.values())), FILE)
        except OSError as error:
            self.say(f"Not written: {error}")
        else:
            self.say(f"Wrote {path.resolve()}.")

    @action("Clear", "forget all runs", width="64px")
    def clear(self) -> None:
        """Begin again with no runs."""
        if not self.refused():
            self.runs.clear()
            self.say("All runs are forgotten.")
