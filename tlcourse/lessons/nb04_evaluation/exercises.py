"""The exercises of notebook 04."""

from collections.abc import Callable

import numpy as np
import torch

from tlcourse.evaluation.intervals import t_interval
from tlcourse.exercises.compare import as_array
from tlcourse.exercises.exercise import Mistake
from tlcourse.exercises.kinds import Case, Challenge, Foresee, Function, Mend
from tlcourse.exercises.runner.process import Limits
from tlcourse.lessons.nb04_evaluation.archives import (
    BROKEN,
    PROMISE,
    archive,
    held_and_width,
    percent_narrower,
    read_ends,
)
from tlcourse.lessons.nb04_evaluation.quiz import quiz
from tlcourse.repro import generator

SETUP = """\
import functools
import math
import numpy as np
import torch
import tlcourse as tl
from tlcourse.evaluation import calibration, significance as comparison, metrics, intervals as stats
"""

COOLED = """\
scores = torch.log(torch.tensor([[9.0, 1.0]] * 4))  # four images, two classes
labels = torch.tensor([0, 0, 0, 1])
result = []
for temperature in (1, 2, 1000):
    cooled = scores / temperature
    right = (cooled.argmax(1) == labels).double().mean().item()
    result.append([100 * right, calibration.calibration_error(cooled, labels)])
"""


def _rows(value: object) -> np.ndarray | None:
    """Read an answer as float64 `[3, 2]`, accuracy and error by temperature, or None if it is no such thing."""
    rows = as_array(value)
    return rows.astype(float) if rows is not None and rows.shape == (3, 2) and rows.dtype.kind in "iuf" else None


def _when(holds: Callable[[np.ndarray], bool]) -> Callable[[object], bool]:
    """Return what says whether an answer has three rows of which something holds."""

    def matches(value: object) -> bool:
        rows = _rows(value)
        return rows is not None and bool(holds(rows))

    return matches


q1 = Foresee(
    id="04.q1",
    title="cooler and cooler",
    objective=5,
    level="Read",
    minutes=6,
    prompt=f"""\
A network answers four images with the same scores: nine to one for class 0. Three of them are of class 0. Its scores are \
divided by a temperature of 1, of 2 and of 1000. What are accuracy and calibration error after each? Find out on paper, before \
you run this:

```python
{COOLED}```

Scores are logarithms of odds, so halving a score takes the square root of the odds. Give three pairs of accuracy in percent \
and error in points, in this order; whole numbers are near enough.""",
    starter="foreseen = None  # [[?, ?], [?, ?], [?, ?]]: temperature 1, 2, 1000",
    answer="foreseen",
    setup=SETUP,
    snippet=COOLED,
    tolerance=0.01,
    reference="""\
foreseen = [
    [75, 15],  # says 90 %, and is right in 75 %
    [75, 0],  # odds of 9 become odds of 3, and 3 to 1 is 75 %: exactly as sure as it may be
    [75, 25],  # hardly more than 50 % sure: too modest is an error too
]
""",
    alternative="""\
sure = torch.tensor([9.0, 9.0**0.5, 9.0**0.001])
sure = sure / (sure + 1)
foreseen = torch.stack([torch.full((3,), 75.0), 100 * (sure - 0.75).abs()], dim=1)
""",
    why="The accuracy stays, since the higher score stays the higher one. The error falls until the network is as sure as it "
    "is often right, and grows again beyond. A temperature that is too high is as wrong as one that is too low.",
    hints=(
        "All four images have the same confidence, so they share a bin. The error is the distance between that confidence "
        "and the share that is right, in points.",
        "Odds of 9 to 1 are a confidence of 9 / (9 + 1). What are the odds after the square root, and what confidence do "
        "they give? With 1000, both scores are nearly 0: how sure is a network whose scores are equal?",
    ),
    mistakes=(
        Mistake(
            "in shares instead of points",
            "foreseen = [[0.75, 0.15], [0.75, 0], [0.75, 0.25]]",
            "Your numbers are shares from 0 to 1. Give percent and points, from 0 to 100.",
            _when(lambda rows: 0 < np.abs(rows).max() <= 1),
        ),
        Mistake(
            "the accuracy changes",
            "foreseen = [[75, 15], [60, 0], [50, 25]]",
            "Your accuracy changes with the temperature. Both scores of an image are divided by the same number: which of "
            "them is the higher one afterwards?",
            _when(lambda rows: np.ptp(rows[:, 0]) > 1),
        ),
        Mistake(
            "takes confidence for accuracy",
            "foreseen = [[90, 15], [90, 0], [90, 25]]",
            "90 % is how sure the network is. Accuracy asks something else: how many of the four answers are right?",
            _when(lambda rows: abs(rows[0, 0] - 90) < 1),
        ),
        Mistake(
            "takes confidence for the error",
            "foreseen = [[75, 90], [75, 75], [75, 50]]",
            "Your second numbers say how sure the network is. The error is how far that is from the share that is right.",
            _when(lambda rows: abs(rows[0, 1] - 90) < 1),
        ),
        Mistake(
            "an error with a sign",
            "foreseen = [[75, 15], [75, 0], [75, -25]]",
            "An error below 0 cannot be: the calibration error counts how far confidence and accuracy are apart, whichever "
            "is the larger.",
            _when(lambda rows: rows[:, 1].min() < -0.5),
        ),
        Mistake(
            "the hotter the better",
            "foreseen = [[75, 15], [75, 0], [75, 0]]",
            "After 1000, both scores are nearly 0. How sure is the network then of each answer, and how often is it right?",
            _when(lambda rows: abs(rows[2, 1]) < 1),
        ),
        Mistake(
            "divides the confidence",
            "foreseen = [[75, 15], [75, 30], [75, 75]]",
            "You divide the confidence by the temperature. It is the scores that are divided, before the softmax; with two "
            "classes, no answer can be given with less than 50 %.",
            _when(lambda rows: abs(rows[1, 1] - 30) < 1 or rows[2, 1] > 70),
        ),
        Mistake(
            "divides the odds",
            "foreseen = [[75, 15], [75, 6.8], [75, 25]]",
            "You divide the odds by the temperature: 9 to 2. The scores are their logarithms, and half a logarithm belongs "
            "to the square root.",
            _when(lambda rows: abs(rows[1, 1] - 6.8) < 1),
        ),
    ),
)

CHOOSE = '''\
def honest_accuracy(hits, fold_of):
    """Accuracy of the network that we choose, in percent, as a number."""
{before}    right = torch.zeros(len(fold_of))
    for fold in fold_of.unique():
        asked = fold_of == fold
{inside}
    return 100 * right.mean()
'''
ON_ALL = "    winner = hits.double().mean(1).argmax()\n"
ASK = "        right[asked] = hits[winner, asked].float()"


def _choices(seed: int) -> list[Case]:
    """Small tables of right answers, folds of equal size: a single network, two folds, a fold an image, odd numbers."""
    draw = generator("04.q2", seed)

    def case(networks: int, size: int, note: str = "", folds: tuple[int, ...] = (0, 1, 2)) -> Case:
        while True:  # until it matters who chose, and all choices are clear
            hits = torch.rand(networks, len(folds) * size, generator=draw) < 0.6
            fold_of = torch.tensor(folds).repeat(size)[torch.randperm(len(folds) * size, generator=draw)]
            if networks == 1 or (_is_clear(hits, fold_of) and (size == 1 or _is_spoilt(hits, fold_of))):
                return Case((hits, fold_of), note=note)

    edges = [
        case(1, 2, "a single network: nothing to choose", (0, 1)),
        case(2, 1, "every image a fold of its own", (0, 1, 2, 3, 4)),
        case(2, 3, "two folds", (0, 1)),
        case(3, 2, "other fold numbers", (7, 3)),
        case(3, 5, "few images to choose with", (0, 1)),
    ]
    return edges + [case(networks, size) for networks, size in ((2, 3), (3, 2), (3, 3), (4, 3), (5, 3), (5, 4))]


def _is_clear(hits: torch.Tensor, fold_of: torch.Tensor) -> bool:
    """Say whether one network is best alone, with all images and without any fold; among equals, taste would decide."""
    parts = [torch.ones_like(fold_of, dtype=torch.bool), *(fold_of != fold for fold in fold_of.unique())]
    two = [hits[:, part].sum(1).topk(2).values.tolist() for part in parts]
    return all(first > second for first, second in two)


def _is_spoilt(hits: torch.Tensor, fold_of: torch.Tensor) -> bool:
    """Say whether the best of all is not always the best without a fold."""
    best = hits.sum(1).argmax()
    return any(hits[:, fold_of != fold].sum(1).argmax() != best for fold in fold_of.unique())


q2 = Mend(
    id="04.q2",
    title="fold by fold, and still too high",
    objective=1,
    minutes=8,
    prompt="""\
Several networks are ready. With the same few images you have to choose one of them *and* say how good it is. `hits[i, j]` says \
whether network `i` reads image `j`, and `fold_of[j]` is the fold of image `j`; all folds hold equally many images. "I ask fold by fold", says the author of this \
function, "so my score is honest." It promises too much all the same. Find the fault, and mend it as nested selection does; no \
network is trained here, so choosing is all there is to put inside.""",
    starter=CHOOSE.format(before=ON_ALL, inside=ASK),
    answer="honest_accuracy",
    setup=SETUP,
    reference=CHOOSE.format(
        before="",
        inside="        # the choice is a part of what is measured: the fold that is asked must have no part in it\n"
        "        winner = hits[:, ~asked].double().mean(1).argmax()\n" + ASK,
    ),
    alternative="""\
def honest_accuracy(hits, fold_of):
    table, folds = hits.tolist(), fold_of.tolist()
    kept = []
    for image, fold in enumerate(folds):
        others = [j for j, other in enumerate(folds) if other != fold]
        kept.append(max(table, key=lambda row: sum(row[j] for j in others))[image])
    return 100 * sum(kept) / len(kept)
""",
    hints=(
        "The loop goes fold by fold. What is different from one fold to the next: the images, the network, or both? Who "
        "chose the network, and with which images?",
        "Within the loop, `asked` marks the images of the fold, and `hits[:, asked]` has the answers of all networks on "
        "them. Which images may the choice for this fold look at?",
    ),
    cases=_choices,
    look_at="one fold at a time: which network is asked, and which images chose it",
    mistakes=(
        Mistake(
            "still chooses with all images",
            CHOOSE.format(before="", inside="    " + ON_ALL + ASK),
            "The choice still looks at all images, those of the fold among them, and it does not help where it stands. So "
            "every fold gets the same winner, and that one has seen the fold.",
        ),
        Mistake(
            "chooses with the fold it asks",
            CHOOSE.format(
                before="", inside="        winner = hits[:, asked].double().mean(1).argmax()\n" + ASK
            ),
            "Now every fold chooses its own favourite and is then asked about it. That flatters even more than before.",
        ),
        Mistake(
            "asks the images that chose",
            CHOOSE.format(
                before="    promised = []\n",
                inside="        others = hits[:, ~asked].double()\n"
                "        promised.append(others[others.mean(1).argmax()].mean())",
            ).replace("right.mean()", "torch.stack(promised).mean()"),
            "The choice is made without the fold, as it should be. But the score is then taken on the images that made the "
            "choice, and the fold is never asked.",
        ),
        Mistake(
            "a share, not percent",
            CHOOSE.format(
                before="", inside="        winner = hits[:, ~asked].double().mean(1).argmax()\n" + ASK
            ).replace("100 * ", ""),
            "The choice is where it belongs. But your number is a share, and percent are asked for.",
        ),
        Mistake(
            "no choice at all",
            "def honest_accuracy(hits, fold_of):\n    return 100 * hits.double().mean()\n",
            "That is the mean of all networks. It does not flatter, but it is the score of no choice: the winner is better "
            "than most.",
        ),
        Mistake(
            "the best fold only",
            CHOOSE.format(
                before="    kept = []\n",
                inside="        winner = hits[:, ~asked].double().mean(1).argmax()\n"
                "        kept.append(hits[winner, asked].double().mean())",
            ).replace("right.mean()", "max(kept)"),
            "Choosing and asking are apart now. But of the scores of the folds you report the best one, and that is a choice "
            "by score again.",
        ),
    ),
)  # fmt: skip

PEEK = '''\
def stops_at(differences):
    """Number of seeds at which an impatient person stops, or None."""
    for n in range({first}, len(differences) + 1):
        seen = {interval}(differences[:n])
        if {clear}:
            return {found}
    return None
'''
USUAL = {"first": 3, "interval": "stats.t_interval", "clear": "seen.low > 0 or seen.high < 0", "found": "n"}


def _is_telling(differences: list[float]) -> bool:
    """Say whether no look ends so near to 0 that rounding would decide, and seeds do differ."""
    looks = [t_interval(differences[:n]) for n in range(2, len(differences) + 1)]
    return all(min(abs(i.low), abs(i.high)) > 0.02 and i.high > i.low for i in looks)


def _experiments(seed: int) -> list[Case]:
    """Differences of seeds in order: found early, late, never, below 0, lost again; too few seeds; random ones."""
    draw = generator("04.q3", seed)
    edges = [
        Case(([1.2, 0.9],), note="two seeds only"),
        Case(([2.0, 2.1, -3.0],), note="two seeds agree, the third does not"),
        Case(([1.0, 1.4, 1.1, 1.3],), note="clear at the first look"),
        Case(([-1.0, -1.5, -1.1],), note="clear, and below 0"),
        Case(([3.0, -1.0, 2.5, -2.0, 0.5],), note="never clear"),
        Case(([0.2, 3.0, 0.4],), note="all above 0, and not clear"),
        Case(([0.5, 3.0, 2.0, 2.4],), note="clear at the last look"),
        Case(([2.0, 1.5, 1.8, -6.0, 4.0],), note="clear, then not any more"),
        Case(([1.1, 1.8, 1.9, 0.6, 1.2, -9.0],), note="clear, then not any more"),
    ]
    while len(edges) < 16:
        mean = (-1.5, 0.0, 1.5)[len(edges) % 3]
        drawn = mean + 1.6 * torch.randn(4 + len(edges) % 4, generator=draw)
        rounded = [round(value, 1) for value in drawn.tolist()]
        if _is_telling(rounded):
            edges.append(Case((rounded,)))
    return edges


q3 = Function(
    id="04.q3",
    title="until it shows something",
    objective=4,
    level="Build",
    minutes=10,
    prompt="""\
Somebody compares two methods with three seeds and looks at the t interval of the difference. If it leaves out 0, on whichever \
side, that is the result, and the work is done. If not, one more seed, and another look. Write the function that says with how \
many seeds this ends: `differences` are those of the seeds, in their order. Return `None` if no look leaves out 0.

When the check is content, find out what such **peeking** does in a world without any difference. An experiment that looks once \
finds something in 5 of 100:

```python
worlds = np.random.default_rng(0).normal(0, 2.4, (1000, 20))
found = sum(stops_at(differences) is not None for differences in worlds)
print(f"{found / 10:.0f} of 100 find a difference where there is none")
```""",
    starter='''\
def stops_at(differences):
    """Number of seeds at which an impatient person stops, or None."""
    ...
''',
    answer="stops_at",
    setup=SETUP,
    reference=PEEK.format(**USUAL).replace(
        "        if ",
        "        # the first look that shows something ends it, on whichever side: that is what makes it dishonest\n"
        "        if ",
    ),
    alternative="""\
def stops_at(differences):
    import scipy.stats
    x = np.asarray(differences, float)
    p_values = {n: scipy.stats.ttest_1samp(x[:n], 0).pvalue for n in range(3, len(x) + 1)}
    return min((n for n, p in p_values.items() if p < 0.05), default=None)
""",
    hints=(
        "Look after 3 seeds, after 4, and so on to all of them. `differences[:n]` are the first `n`, and `stats.t_interval` "
        "says what is seen then.",
        "An interval leaves out 0 when it lies wholly above or wholly below. `range(3, len(differences) + 1)` gives the "
        "numbers of seeds; the first that shows something is returned.",
    ),
    cases=_experiments,
    look_at="the interval after 3 seeds, after 4, and so on, by `stats.t_interval`",
    mistakes=(
        Mistake(
            "looks up only",
            PEEK.format(**USUAL | {"clear": "seen.low > 0"}),
            "You stop when the interval lies above 0. It leaves out 0 on the other side too: then the other method seems "
            "better, and that also looks like a result.",
        ),
        Mistake(
            "looks after two seeds",
            PEEK.format(**USUAL | {"first": 2}),
            "You look after two seeds already. The first look comes after three.",
        ),
        Mistake(
            "looks once, at the end",
            "def stops_at(differences):\n"
            "    seen = stats.t_interval(differences)\n"
            "    clear = len(differences) > 2 and (seen.low > 0 or seen.high < 0)\n"
            "    return len(differences) if clear else None\n",
            "You look once, with all seeds: that is the honest way. The impatient one looks after each seed, and stops at "
            "the first look that shows something.",
        ),
        Mistake(
            "by the bootstrap",
            PEEK.format(**USUAL | {"interval": "tl.bootstrap_mean"}),
            "You look at the bootstrap interval, which is too narrow with few seeds and stops even earlier. Which interval "
            "does the exercise name?",
        ),
        Mistake(
            "by two standard errors",
            "def stops_at(differences):\n"
            "    for n in range(3, len(differences) + 1):\n"
            "        x = np.array(differences[:n])\n"
            "        if abs(x.mean()) > 1.96 * x.std(ddof=1) / math.sqrt(n):\n"
            "            return n\n",
            "You stop as soon as the mean is two standard errors from 0. With few seeds, the t interval reaches further, "
            "since the standard error is itself a guess.",
        ),
        Mistake(
            "counts from 0",
            PEEK.format(**USUAL | {"found": "n - 1"}),
            "You return the place of the last seed, counted from 0. Asked is how many seeds there are then.",
        ),
        Mistake(
            "never looks at all seeds",
            PEEK.format(**USUAL).replace("len(differences) + 1", "len(differences)"),
            "Your last look comes one seed too early: `range` ends before its second number.",
        ),
        Mistake(
            "stops where nothing is shown",
            PEEK.format(**USUAL | {"clear": "seen.low <= 0 <= seen.high"}),
            "You stop at the first interval that holds 0. The impatient one goes on then, and stops at one that leaves it "
            "out.",
        ),
    ),
)


def _ends_when(holds: Callable[[np.ndarray], bool]) -> Callable[[object, float | None], bool]:
    """Return what says whether something holds of the ends of an answer that could be scored."""
    return lambda report, score: score is not None and bool(holds(read_ends(report)))


T_ROWS = """\
def make_intervals(differences):
    intervals = [{interval}({row}) for row in differences]
    return [(i.low, i.high) for i in intervals]
"""

q4 = Challenge(
    id="04.q4",
    title="narrow, and true to its word",
    objective=3,
    minutes=25,
    points=3,
    prompt=f"""\
An archive holds 2,000 comparisons like ours. In every row stand the differences of two methods with five seeds, in points. Write \
a function that takes the whole archive, `[2000, 5]`, and returns for every row the lower and the upper end of an interval for \
its *true* difference, `[2000, 2]`. You promise 95 %.

The score says by how many percent your intervals are narrower than t intervals of the same rows, on average. But if fewer than \
{PROMISE} % of them hold the truth, it is −100. So the t interval makes 0, and the goal is 15 %. It can be done: a t interval \
looks at five numbers, and you have ten thousand. From the goal on, see how far you get, but leave some room to the promise: \
your notebook may be marked on another archive. Here is one to try ideas on; that of the check has another mean, another scatter \
and another usual spread.

```python
rng = np.random.default_rng(0)
truths = rng.normal(1, 2, 2000)
spreads = 2.4 * np.exp(rng.normal(0, 0.25, 2000))  # some comparisons are harder than others
differences = rng.normal(truths[:, None], spreads[:, None], (2000, 5))
```""",
    starter='''\
def make_intervals(differences):
    """Lower and upper end for every row, [rows, 2]."""
    ...
''',
    answer="make_intervals",
    setup=SETUP,
    reference='''\
def make_intervals(differences):
    """Lower and upper end for every row, [rows, 2]."""
    own = differences.var(axis=1, ddof=1)
    # five seeds hardly know their own spread; rows have similar spreads, so the mean of all is worth as much as the own
    spread = np.sqrt((own + own.mean()) / 2)
    middle, reach = differences.mean(axis=1), 2.1 * spread / math.sqrt(5)  # 2.1, as with some 20 seeds: not 2.8
    return np.stack([middle - reach, middle + reach], axis=1)
''',
    alternative="""\
def make_intervals(differences):
    x = torch.as_tensor(differences)
    mean, own = x.mean(1), x.var(1)
    error = (0.35 * own + 0.65 * own.mean()) / 5
    scatter = (mean.var() - own.mean() / 5).clamp(min=1e-6)
    trust = scatter / (scatter + error)
    middle = mean.mean() + trust * (mean - mean.mean())
    reach = 2.0 * (trust * error).sqrt()
    return middle - reach, middle + reach
""",
    hints=(
        "With five seeds, a t interval reaches 2.8 standard errors, with endlessly many it would reach 2.0: the difference "
        "pays for not knowing the spread. What do the other rows say about the spread of this one?",
        "Rows have similar spreads, but not the same. Mix the variance of a row (`differences.var(axis=1, ddof=1)`) with the "
        "mean variance of all rows, and reach 2.1 standard errors from that. Further up: true differences resemble each "
        "other as well, so a mean far away from all others is probably a lucky one.",
    ),
    limits=Limits(seconds=90, memory=2**31),
    inputs=lambda seed: (archive(seed)[0],),
    score=percent_narrower,
    explain=held_and_width,
    goal=15,
    unit="% narrower",
    mistakes=(
        Mistake(
            "points instead of intervals",
            "def make_intervals(differences):\n    return np.stack([differences.mean(1), differences.mean(1)], axis=1)\n",
            "Your intervals have no width. A mean alone is never exactly the truth; how far may the truth be from it?",
            _ends_when(lambda ends: (ends[:, 0] == ends[:, 1]).all()),
        ),
        Mistake(
            "one interval for all rows",
            "def make_intervals(differences):\n"
            "    all_of_them = stats.t_interval(differences.ravel())\n"
            "    return np.tile([all_of_them.low, all_of_them.high], (len(differences), 1))\n",
            "All rows have the same interval. It says where the mean of the archive lies; but every row has a truth of its "
            "own. What the rows have in common is something else.",
            _ends_when(lambda ends: np.ptp(ends, axis=0).max() < 1e-9),
        ),
        Mistake(
            "breaks the promise",
            T_ROWS.format(interval="tl.bootstrap_mean", row="row.tolist(), resamples=400"),
            f"Your intervals are narrow, but too few of them hold the truth: 95 % were promised, and under {PROMISE} % nothing "
            "counts. Which doubt is left out? The notebook measured what the bootstrap of five seeds is worth, and two "
            "standard errors of five seeds fare hardly better.",
            lambda report, score: score == BROKEN,
        ),
        Mistake(
            "the t interval as it is",
            T_ROWS.format(interval="stats.t_interval", row="row.tolist()"),
            "These are the t intervals, row by row: honest, and the measure of all others. To get narrower without breaking "
            "the promise, a row has to learn something from its neighbours. What do they have in common?",
            lambda report, score: score is not None and abs(score) < 0.05,
        ),
        Mistake(
            "the scatter of seeds, not of their mean",
            "def make_intervals(differences):\n"
            "    middle, spread = differences.mean(1), differences.std(1, ddof=1)\n"
            "    return np.stack([middle - 2 * spread, middle + 2 * spread], axis=1)\n",
            "Your intervals are much wider than t intervals. They may say where the next seed would fall; asked is where "
            "the mean lies, and a mean of five scatters less than a single seed.",
            lambda report, score: score is not None and score < -25,
        ),
    ),
)

EXERCISES = (q1, q2, q3, q4)

__all__ = ["EXERCISES", "q1", "q2", "q3", "q4", "quiz"]
