"""The lab of notebook 09: two tasks whose gradients agree or not, and which way each rule goes."""

from matplotlib.figure import Figure

from tlcourse.lessons.nb09_many_tasks.directions import (
    directions,
    draw_arrows,
    draw_gains,
    gains,
    in_words,
    two_gradients,
)
from tlcourse.notebook.controls import Choice, Slider
from tlcourse.notebook.lab import Lab, page

ARROWS, BARS = (0.07, 0.14, 0.34, 0.76), (0.62, 0.14, 0.36, 0.76)  # left, bottom, width, height in the picture
ANGLES = tuple(range(0, 181, 15))
LENGTHS = (0.25, 0.5, 1.0, 2.0, 4.0, 10.0)
WEIGHTS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
ALL = "all"


class DirectionsLab(Lab):
    """Two gradients and four rules: the angle between the gradients, how long the second is, the weights of a sum."""

    angle = Slider("angle (degrees)", ANGLES, 120, "between the two gradients; above 90 degrees they disagree")
    length = Slider("length, task 2", LENGTHS, 4.0, "that of task 1 is 1; a unit 10 times smaller: 10")
    weight_one = Slider("weight, task 1", WEIGHTS, 1.0, "of its loss in the sum")
    weight_two = Slider("weight, task 2", WEIGHTS, 1.0, "of its loss in the sum")
    shown = Choice("rule", (ALL, "sum", "PCGrad", "MGDA", "UPGrad"), ALL, "which directions are drawn")
    rows = (("angle", "length"), ("weight_one", "weight_two"), "shown")

    def look(self, angle: float, length: float, weight_one: float, weight_two: float, shown: str) -> tuple[Figure, str]:
        """Return the arrows, and what each direction does for either task."""
        rows = two_gradients(angle, length)
        found = directions(rows, (weight_one, weight_two))
        if shown != ALL:
            found = {shown: found[shown]}
        figure, (arrows, bars) = page((9.6, 3.6), ARROWS, BARS)
        draw_arrows(arrows, rows, found)
        draw_gains(bars, rows, found)
        product = (rows[0] @ rows[1]).item()
        how = "agree" if product > 1e-9 else "disagree" if product < -1e-9 else "neither help nor harm each other"
        harmed = [name for name, direction in found.items() if min(gains(rows, direction)) < -1e-6]
        harm = f" {' and '.join(harmed)} would raise one task's loss." if harmed else ""
        return figure, f"At {angle} degrees the tasks {how}.{harm} {in_words(rows, found)}"
