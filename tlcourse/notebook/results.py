"""Results as pandas frames, a row a measurement: run a grid of trials, keep them, say what they mean over seeds."""

import itertools
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from tlcourse.evaluation.intervals import Interval, t_interval
from tlcourse.storage import write_atomically
from tlcourse.training.parallel import side_by_side

LESSONS = Path(__file__).parent.parent / "lessons"
ENDS = ("mean", "low", "high")
OPEN, HIGHER, LOWER = "open", "higher", "lower"  # what an interval of differences says
TEXTS = ("answers", "curve", "setting")  # columns that look like numbers and are none: "0311" is four answers

Row = dict[str, Any]
Columns = str | Sequence[str]
Estimate = Callable[[Sequence[float]], Interval]


def grid(
    trial: Callable[..., Row | list[Row]],
    *,
    progress: bool = True,
    add_to: pd.DataFrame | None = None,
    **axes: Iterable[Any],
) -> pd.DataFrame:
    """Call `trial(start="scratch", seed=0, ...)` for every combination of the axes, several at a time, one core each.

    A trial returns what it measured, by name. One that measured several times returns a list of those; one for which
    there is nothing to do, an empty list. The frame has the axes as columns, then what was measured; the first axis
    changes slowest. The rows of an earlier grid come first, where they are given as `add_to`. Raises TypeError when an
    axis is no list, and whatever the first trial that fails raises.
    """
    for name, values in axes.items():
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise TypeError(f"{name} is {values!r}, but a list was expected, such as [{values!r}].")
    points = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    answers = side_by_side(lambda point: trial(**point), [(point,) for point in points], progress)
    rows = []
    for point, answer in zip(points, answers, strict=True):
        measured = answer if isinstance(answer, list) else [answer]
        rows += [{**point, **row} for row in measured]
    frame = pd.DataFrame(rows)
    return frame if add_to is None else pd.concat([add_to, frame], ignore_index=True)


def results(name: str) -> pd.DataFrame:
    """Read a table that came with the course; it lies in the folder of the lesson that made it."""
    tables = {path.stem: path for path in sorted(LESSONS.glob("*/results/*.csv"))}
    if name not in tables:
        raise ValueError(f"there is no table {name!r}. Expected one of: {', '.join(tables)}.")
    return read_results(tables[name])


def read_results(path: Path | str) -> pd.DataFrame:
    """Read what `save_results` wrote; only `nan` is a missing value, so that a source may be called "none" or "NA"."""
    return pd.read_csv(path, dtype=dict.fromkeys(TEXTS, str), keep_default_na=False, na_values=["nan"])


def save_results(rows: pd.DataFrame, path: Path | str) -> Path:
    """Write comma-separated values, whole or not at all; return the path.

    Floats get three decimals, and three digits where that would lose more, as in a learning rate of 0.0001.
    """
    text = rows.to_csv(index=False, float_format=_written, na_rep="nan", lineterminator="\n")
    return write_atomically(path, text.encode())


def _written(value: float) -> str:
    text = f"{value:.3f}"
    return text if abs(value) >= 0.1 or float(text) == value else f"{value:.3g}"


def intervals(
    rows: pd.DataFrame,
    value: str = "accuracy",
    by: Columns = ("start", "per_class"),
    interval: Estimate = t_interval,
) -> pd.DataFrame:
    """Estimate the mean of a column for every combination of the columns `by`, in order of first appearance.

    The interval is Student's t: seeds are few, and the bootstrap of few values is too narrow (notebook 04 counts).
    The frame has the columns `by`, `mean`, `low`, `high` and `n`, the number of values. Where nothing could be measured
    (all values are `nan`), it has `nan` and `n` is 0. Raises ValueError when `interval` refuses a group's values.
    """
    by = _existing(rows, by)
    _existing(rows, value)
    lines = []
    for key, group in rows.groupby(by, sort=False, dropna=False) if by else [((), rows)]:
        ordered = group.sort_values("seed", kind="stable") if "seed" in group else group  # resampling depends on it
        values = ordered[value].tolist()
        measured = not group[value].isna().all()
        found = interval(values) if measured else Interval(*[float("nan")] * 3)
        ends = {end: getattr(found, end) for end in ENDS}
        lines.append({**dict(zip(by, key, strict=True)), **ends, "n": len(values) if measured else 0})
    return pd.DataFrame(lines, columns=[*by, *ENDS, "n"])


def paired(
    rows: pd.DataFrame,
    value: str,
    of: str,
    a: Hashable,
    b: Hashable,
    by: Columns = (),
    pair: Columns = ("seed",),
    interval: Estimate = t_interval,
) -> pd.DataFrame:
    """Estimate by how much `value` is higher where the column `of` is `a` than where it is `b`, pair by pair.

    `paired(rows, "accuracy", "start", "fine-tuned", "scratch", by="per_class")` says what fine-tuning gains, seed by
    seed. The frame is that of `intervals`, with a `verdict`: "higher" or "lower", or "open" where the interval contains
    0, since these seeds then do not say which of the two is better. Raises ValueError when a row has no partner, or
    more than one.
    """
    by, pair = _existing(rows, by), _existing(rows, pair)
    first, second = (_side(rows, value, of, which, [*by, *pair]) for which in (a, b))
    alone = first.index.symmetric_difference(second.index)
    if len(alone):
        example = alone.to_frame(index=False).to_dict("records")[0]
        raise ValueError(
            f"{len(alone)} rows have no partner, such as {example}. Expected for every {', '.join([*by, *pair])} one "
            f"row where {of} is {a!r} and one where it is {b!r}."
        )
    differences = first - second.loc[first.index]
    found = intervals(differences.reset_index(), value, by, interval)
    return found.assign(verdict=[_verdict(each) for each in _each(found)])


def _verdict(difference: Interval) -> str:
    if difference.low > 0:
        return HIGHER
    return LOWER if difference.high < 0 else OPEN  # also where nothing could be measured


def _side(rows: pd.DataFrame, value: str, of: str, which: Hashable, keys: list[str]) -> pd.Series:
    """The values where `of` is `which`, by the keys."""
    _existing(rows, (of, value))
    chosen = rows.loc[rows[of] == which, [*keys, value]]
    if chosen.empty:
        raise ValueError(f"no row has {which!r} as {of}. Expected one of: {', '.join(map(repr, rows[of].unique()))}.")
    twice = chosen.loc[chosen.duplicated(keys), keys]
    if len(twice):
        raise ValueError(
            f"{of} {which!r} has more than one row with {twice.to_dict('records')[0]}. Expected one; name what else "
            "tells them apart in `by` or `pair`."
        )
    return chosen.set_index(keys)[value]


def _existing(rows: pd.DataFrame, columns: Columns) -> list[str]:
    """The columns as a list; raises ValueError when one is missing."""
    wanted = [columns] if isinstance(columns, str) else list(columns)
    missing = [name for name in wanted if name not in rows]
    if missing:
        raise ValueError(f"there is no column {', '.join(missing)}. Expected some of: {', '.join(rows.columns)}.")
    return wanted


def as_dict(summary: pd.DataFrame) -> dict[Any, Interval]:
    """Turn a frame of `intervals` into a dictionary: `{("scratch", 5): Interval, ...}`, or `{"scratch": ...}`."""
    by = [name for name in summary if name not in (*ENDS, "n", "verdict")]
    keys = summary[by[0]] if len(by) == 1 else summary[by].itertuples(index=False, name=None)
    return dict(zip(keys, _each(summary), strict=True))


def as_texts(summary: pd.DataFrame) -> list[str]:
    """Write every interval of a frame as tables show it, such as `88.6 [87.6, 89.5]`; a dash where there is none.

    Differences that `paired` left open say so: `-1.5 [-3.5, 0.6] (open)`.
    """
    verdicts = summary["verdict"] if "verdict" in summary else [""] * len(summary)
    texts = []
    for found, verdict in zip(_each(summary), verdicts, strict=True):
        measured = found.mean == found.mean  # nan is not equal to itself
        texts.append(f"{found} (open)" if measured and verdict == OPEN else str(found) if measured else "–")
    return texts


def _each(summary: pd.DataFrame) -> list[Interval]:
    return [Interval(*ends) for ends in zip(*(summary[end].tolist() for end in ENDS), strict=True)]
