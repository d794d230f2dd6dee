"""Files that the bench of notebook 03 writes: its runs as CSV and its picture as PNG, into a folder that is named."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from tlcourse.lessons.nb03_fine_tuning.lab_records import Run
from tlcourse.storage import write_atomically

FILE = "training-bench"
HEADER = (
    *("run", "state", "strategy", "labels_per_class", "rate", "frozen_stages", "l2sp_strength", "epochs", "trained"),
    *("seconds", "epoch", "learned_loss", "learned_accuracy", "watched_loss", "watched_accuracy"),
)


def write_csv(runs: Sequence[Run]) -> str:
    """Write all runs as text, one row an epoch; what does not apply to a run is left empty.

    Args:
        runs: the runs.

    Returns:
        The table with its header; losses in nats, accuracies in percent.
    """
    page = io.StringIO()
    writer = csv.writer(page, lineterminator="\n")
    writer.writerow(HEADER)
    for run in runs:
        how = run.settings
        depth, pull = "" if how.thaws else how.depth, how.strength if how.pulls else ""
        took = "" if run.seconds is None else f"{run.seconds:.2f}"
        row = [run.number, run.state, how.strategy, how.per_class, how.rate, depth, pull, how.epochs, run.trained, took]
        for epoch, m in enumerate(run.measured, start=1):
            values = (m.learned_loss, m.learned_accuracy, m.watched_loss, m.watched_accuracy)
            writer.writerow([*row, epoch, *(f"{value:.4g}" for value in values)])
    return page.getvalue()


def save(folder: str, kind: str, data: bytes) -> str:
    """Write a file of the bench, whole or not at all.

    Args:
        folder: as it was typed; nothing means the current one, `~` the home of the user.
        kind: `"csv"` or `"png"`.
        data: the content.

    Returns:
        A sentence: where the file is, or why it is not.
    """
    try:
        path = Path(folder.strip() or ".").expanduser().resolve() / f"{FILE}.{kind}"
        again = path.exists()
        write_atomically(path, data)
    except (OSError, ValueError, RuntimeError) as error:  # no right to write, no such name, no such user
        return f"Not written: {error}"
    return f"Wrote {path}{', in place of the older one' if again else ''}."
