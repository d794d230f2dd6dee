"""The controls of the bench of notebook 03: what there is to choose, and buttons whose errors are seen."""

from collections.abc import Iterable

import ipywidgets as widgets

from tlcourse.lessons.nb03_fine_tuning.lab_records import (
    LABELS,
    MOST_EPOCHS,
    OFFERED,
    RATES,
    SHORT,
    STAGES,
    STRENGTHS,
    Settings,
)

WIDE = {"width": "100%", "margin": "2px 0"}


class Choices:
    """Six controls, one for every setting.

    Attributes:
        strategy: a list.
        labels: a slider, as all below.
        rate: the highest learning rate.
        depth: frozen stages.
        strength: pull of L2-SP.
        epochs: how many.
        all: the six in this order.
        widget: all of them in two rows.
    """

    def __init__(self) -> None:
        self.strategy = widgets.Dropdown(options=OFFERED, value="LP-FT", description="strategy", layout=WIDE)
        self.strategy.tooltip = "how the carried-over network is trained"
        self.labels = _slider("labels per class", LABELS, 5, "labelled images of every class to learn from")
        self.rate = _slider("highest rate", RATES, 0.003, "learning rate of AdamW at the top of its cycle")
        self.depth = _slider(
            f"frozen (of {STAGES})", range(STAGES + 1), 0, "stages that stay as they are, from pixels up"
        )
        self.strength = _slider("L2-SP pull", STRENGTHS, 0.1, "strength of the pull towards the start, for L2-SP alone")
        self.epochs = _slider("epochs", range(1, MOST_EPOCHS + 1), SHORT.epochs, f"each of {SHORT.steps} updates")
        self.all = [self.strategy, self.labels, self.rate, self.depth, self.strength, self.epochs]
        for control in self.all:
            control.style.description_width = "7.2em"
        self.widget = widgets.GridBox(self.all, layout={"grid_template_columns": "repeat(3, minmax(0, 1fr))"})

    def settings(self) -> Settings:
        """Return what the controls say, and switch off those that mean nothing to the strategy."""
        settings = Settings(*(control.value for control in self.all))
        self.depth.disabled, self.strength.disabled = settings.thaws, not settings.pulls
        return settings


def _slider(name: str, values: Iterable[float], value: float, tip: str) -> widgets.SelectionSlider:
    options = [(f"{one:g}", one) for one in values]
    return widgets.SelectionSlider(options=options, value=value, description=name, layout=WIDE, tooltip=tip)
