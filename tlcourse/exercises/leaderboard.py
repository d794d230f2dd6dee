"""The learner's own best runs of a challenge."""

import time

from tlcourse.exercises.progress import ProgressError, read_records

SHOWN = 5


def leaderboard(name: str, score: float, unit: str) -> list[tuple[str, str]]:
    """Return one detail for a card: a line a run, the best first, this one marked."""
    try:
        records = [r for r in read_records() if r["name"] == name and r.get("score") is not None]
    except ProgressError:
        records = []
    runs = [(float(record["score"]), _day(record["time"])) for record in records] + [(score, "this run")]
    best = sorted(runs, key=lambda run: run[0], reverse=True)
    place = best.index((score, "this run")) + 1
    lines = [f"{number}. {value:.1f} {unit}  {day}" for number, (value, day) in enumerate(best[:SHOWN], 1)]
    if place > SHOWN:
        lines.append(f"{place}. {score:.1f} {unit}  this run")
    return [("your runs", "\n".join(lines))]


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
