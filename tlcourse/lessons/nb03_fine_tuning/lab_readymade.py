"""Two finished runs that the bench of notebook 03 begins with; a test trains them again and compares."""

from tlcourse.lessons.nb03_fine_tuning.lab_records import Measured, Run, Settings

HEAD_ALONE = (
    (2.134, 30, 2.176, 17.7),
    (1.372, 80, 1.576, 55.3),
    (0.773, 92, 1.122, 72.0),
    (0.531, 90, 0.949, 71.7),
    (0.432, 94, 0.871, 73.0),
    (0.384, 96, 0.832, 73.7),
    (0.368, 96, 0.819, 74.0),
    (0.366, 96, 0.817, 74.0),
)
EVERYTHING = (
    (1.775, 58, 1.985, 38.0),
    (0.377, 100, 0.977, 74.3),
    (0.028, 100, 0.571, 81.7),
    (0.008, 100, 0.485, 85.7),
    (0.004, 100, 0.458, 85.3),
    (0.004, 100, 0.454, 86.0),
    (0.005, 100, 0.451, 86.3),
    (0.005, 100, 0.457, 86.0),
)


def ready_made() -> list[Run]:
    """Return the two runs: the head alone at its good rate, and everything at its own."""
    plans = ((Settings(depth=5, rate=0.01), HEAD_ALONE, 1_290), (Settings(), EVERYTHING, 309_114))
    return [
        Run(number, settings, tuple(Measured(*row) for row in rows), "finished", trained)
        for number, (settings, rows, trained) in enumerate(plans, start=1)
    ]
