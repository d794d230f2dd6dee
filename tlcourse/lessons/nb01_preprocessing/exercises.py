"""The exercises of notebook 01."""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F

from tlcourse.data.augmentations import rotate_by
from tlcourse.data.cleaning import precision_recall
from tlcourse.data.defects import CHANGES, plant_dirt
from tlcourse.exercises.compare import as_array, same
from tlcourse.exercises.exercise import Mistake
from tlcourse.exercises.held_out import FRESH, held_out
from tlcourse.exercises.kinds import Case, Challenge, Function, Mend, Value
from tlcourse.exercises.runner.process import Limits
from tlcourse.lessons.nb01_preprocessing.quiz import quiz
from tlcourse.repro import generator

DIRTY = """\
import torch
import tlcourse as tl
from tlcourse.data import cleaning
from tlcourse.data import defects as dirt
digits = tl.load("handwritten-photo")
dirty, truth = dirt.plant_dirt(digits, tl.generator("dirt", 0))
"""

q1 = Value(
    id="01.q1",
    title="two prices, two thresholds",
    objective=1,
    level="Read",
    minutes=8,
    prompt="""\
A threshold has no best value before you say what an error costs. Take the detector of near duplicates on `dirty`, at the \
thresholds 0.02, 0.04, 0.06, 0.08 and 0.10. Which of them is the cheapest

* if a person looks at every finding, which takes 1 minute each, and every planted copy that is missed costs 20 minutes later?
* if nobody looks and every finding is deleted, where a good image that is lost costs 10 minutes, and a copy that stays 1?

Read it off the lab, or count with `cleaning.find_near_duplicates(dirty.images, threshold=...)` and \
`truth.pairs(truth.near)`. Exact copies can be left out: they are found at every threshold.""",
    starter="cheapest = None  # two thresholds, such as (0.04, 0.08)",
    answer="cheapest",
    setup=DIRTY,
    reference="""\
planted, with_a_look, without = truth.pairs(truth.near), {}, {}
for threshold in (0.02, 0.04, 0.06, 0.08, 0.10):
    found = {(f.which, f.partner) for f in cleaning.find_near_duplicates(dirty.images, threshold=threshold)}
    missed, false_alarms = len(planted - found), len(found - planted)
    # the same errors at two prices: a look costs for every finding, right or wrong; deleting costs for the wrong ones
    with_a_look[threshold] = len(found) + 20 * missed
    without[threshold] = 10 * false_alarms + missed
cheapest = (min(with_a_look, key=with_a_look.get), min(without, key=without.get))
""",
    alternative="""\
distances, partners = cleaning.thumbnail_distances(dirty.images).min(1)
grid, late = torch.tensor([2, 4, 6, 8, 10]) / 100, {max(pair) for pair in truth.near.items()}
not_equal = torch.tensor([f.which for f in cleaning.find_exact_duplicates(dirty.images)])
distances[not_equal] = 9.0
is_copy = torch.tensor([i in late for i in range(len(dirty))])
flagged = distances[None] <= grid[:, None]
hits, findings = (flagged & is_copy).sum(1), flagged.sum(1)
missed = is_copy.sum() - hits
costs = torch.stack([findings + 20 * missed, 10 * (findings - hits) + missed])
cheapest = grid[costs.argmin(1)]
""",
    hints=(
        "Two counts at each threshold are enough: how many findings are false alarms, and how many planted pairs are "
        "missed. Write the five pairs of numbers down; then put the prices on them.",
        "With pairs `(f.which, f.partner)` in a set called `found` and the planted ones in `planted`, `planted - found` is "
        "what was missed, and `found - planted` are the false alarms. When a person looks, the right findings cost a "
        "minute too.",
    ),
    mistakes=(
        Mistake(
            "balanced precision and recall",
            "cheapest = (0.04, 0.04)",
            "0.04 balances precision and recall well, as if a miss and a false alarm cost the same. Here they do not: one is "
            "10 or 20 times as dear as the other, and which one it is changes between the two cases.",
        ),
        Mistake(
            "the other way round",
            "cheapest = (0.02, 0.06)",
            "The two are the wrong way round. In which of the cases is a miss the dear error? That one wants a detector that "
            "finds more.",
        ),
        Mistake(
            "one threshold for both",
            "cheapest = (0.06, 0.06)",
            "At 0.06 more than a third of the findings are false alarms. A person waves them through in a minute each. What "
            "happens to them when nobody looks?",
        ),
        Mistake(
            "finds the most, whatever it costs",
            "cheapest = (0.08, 0.02)",
            "Your first threshold finds the most copies. Compare it with the one below it: how many more copies does it find, "
            "and how many more findings have to be looked at?",
        ),
        Mistake(
            "precision alone",
            "cheapest = (0.02, 0.02)",
            "Your first threshold has the fewest false alarms, but a false alarm costs a minute and a miss twenty. How many "
            "copies does it miss?",
        ),
    ),
)

LOOKS_AT_ALL = '''\
def prepare(x, labels, train, count=20):
    """Return the training rows, ready for a classifier: telling features, scaled."""
    x = (x - x.mean(0)) / (x.std(0) + 1e-6)
    chosen = peeking.most_telling(x, labels, count)
    return x[train][:, chosen]
'''


def _rows(seed: int) -> list[Case]:
    """Small tables with labels of two classes, of which some rows are to be trained on."""
    draw = generator("01.q2", seed)

    def table(rows: int, features: int) -> torch.Tensor:
        return (10 * torch.rand(rows, features, generator=draw)).round(decimals=2)

    far = table(6, 3)
    far[5] = torch.tensor([90.0, 0.0, 50.0])
    still = table(6, 3)
    still[:4, 0] = 5.0
    coin, train = torch.tensor([0, 1, 0, 1, 0, 1]), torch.arange(4)
    cases = [
        Case((table(6, 1), coin, train, 1), note="one feature"),
        Case((far, coin, train, 1), note="a held-out row far away"),
        Case((still, coin, train, 1), note="a feature that only held-out rows move"),
        Case((table(4, 3), coin[:4], train, 2), note="nothing is held out"),
        Case((table(6, 3), coin, torch.tensor([5, 2, 0, 3]), 3), note="all features, rows in another order"),
    ]
    for _ in range(6):
        order = torch.randperm(4, generator=draw)
        chosen = torch.cat([order[:2] * 2, order[2:] * 2 + 1])  # two of each class
        cases.append(Case((table(8, 5), torch.tensor([0, 1] * 4), chosen, 2)))
    return cases


def same_columns(got: object, right: object) -> bool:
    """Say whether two tables of scaled rows hold the same columns, in whatever order.

    Args:
        got: what came: a tensor, an array or a list of rows.
        right: float `[N, F]`, divided by deviations over N - 1; those over N are as good.

    Returns:
        True when each column of one is a column of the other.
    """
    mine, theirs = as_array(got), as_array(right)
    if mine is None or mine.shape != theirs.shape:
        return False
    wider = (len(theirs) / (len(theirs) - 1)) ** 0.5
    return any(_are_columns(list(mine.T), theirs.T * factor) for factor in (1, wider))


def _are_columns(left: list, wanted: Iterable) -> bool:
    for column in wanted:
        place = next((i for i, other in enumerate(left) if same(other, column, 1e-3)), None)
        if place is None:
            return False
        left.pop(place)
    return True


q2 = Mend(
    id="01.q2",
    title="skill out of nothing",
    objective=5,
    minutes=8,
    prompt="""\
A colleague prepares the training rows of every fold with this function; the held-out rows get the same columns and the \
same scale afterwards. She finds skill where the labels are coin flips. "But I return training rows only", she says. `x` is a \
table, float `[N, F]`; `labels` are 0 or 1, int64 `[N]`; `train` holds the numbers of the training rows. Find everything that \
looks at held-out rows, and mend it.

`splits.sees_held_out(prepare, x, labels, train, generator)` says whether something still looks; \
`peeking.coin_flips(seed=0)` makes an `x` and `labels` to try it on.""",
    starter=LOOKS_AT_ALL,
    answer="prepare",
    setup="import torch\nimport tlcourse as tl\nfrom tlcourse.data import splits\nfrom tlcourse.lessons.nb01_preprocessing import peeking",
    reference='''\
def prepare(x, labels, train, count=20):
    """Return the training rows, ready for a classifier: telling features, scaled."""
    x, labels = x[train], labels[train]  # split first: what is not here cannot be looked at, by no line below
    x = (x - x.mean(0)) / (x.std(0) + 1e-6)
    chosen = peeking.most_telling(x, labels, count)
    return x[:, chosen]
''',
    alternative="""\
def prepare(x, labels, train, count=20):
    kept = peeking.most_telling(x[train], labels[train], count).flip(0)
    mean, std = x[train].mean(0), x[train].std(0)
    return ((x - mean) / (std + 1e-6))[train][:, kept]
""",
    hints=(
        "Go through the lines from the top, and ask of each: which rows does this number come from? There is more than one "
        "place.",
        "A mean, a deviation and a choice are computed here. Each has to come from the training rows, with their labels. One "
        "line, put at the right place, does it for all three.",
    ),
    cases=_rows,
    agrees=same_columns,
    look_at="which rows the mean, the deviation and the chosen features come from",
    mistakes=(
        Mistake(
            "mended the scaling, not the choice",
            "def prepare(x, labels, train, count=20):\n"
            "    x = (x - x[train].mean(0)) / (x[train].std(0) + 1e-6)\n"
            "    chosen = peeking.most_telling(x, labels, count)\n"
            "    return x[train][:, chosen]\n",
            "Mean and deviation now come from the training rows, and that was the smaller leak. Something else is still "
            "computed from all rows, and it looks at labels.",
        ),
        Mistake(
            "mended the choice, not the scaling",
            "def prepare(x, labels, train, count=20):\n"
            "    x = (x - x.mean(0)) / (x.std(0) + 1e-6)\n"
            "    chosen = peeking.most_telling(x[train], labels[train], count)\n"
            "    return x[train][:, chosen]\n",
            "The features are now chosen by the training rows: the large leak is closed. The small one is open: the numbers "
            "themselves still change when a held-out row changes. Which line does that?",
        ),
        Mistake(
            "still as it was, in other words",
            "def prepare(x, labels, train, count=20):\n"
            "    scaled = (x - x.mean(0)) / (x.std(0) + 1e-6)\n"
            "    return scaled[:, peeking.most_telling(scaled, labels, count)][train]\n",
            "This gives the same as before. To take the training rows at the end is too late: all that was computed above has "
            "seen the others.",
        ),
        Mistake(
            "the first rows instead of the training rows",
            "def prepare(x, labels, train, count=20):\n"
            "    x, labels = x[: len(train)], labels[: len(train)]\n"
            "    x = (x - x.mean(0)) / (x.std(0) + 1e-6)\n"
            "    return x[:, peeking.most_telling(x, labels, count)]\n",
            "You take as many rows as there are training rows, from the top. `train` holds the numbers of the rows, and "
            "these can lie anywhere.",
        ),
        Mistake(
            "returns the held-out rows too",
            "def prepare(x, labels, train, count=20):\n"
            "    chosen = peeking.most_telling(x[train], labels[train], count)\n"
            "    x = (x - x[train].mean(0)) / (x[train].std(0) + 1e-6)\n"
            "    return x[:, chosen]\n",
            "The statistics are right now, but all rows come out. The function promises the training rows.",
        ),
    ),
)


def _linked(seed: int) -> list[Case]:
    """Few images, pairs that look alike, and which images are tested."""
    draw = generator("01.q3", seed)
    cases = [
        Case((2, [(0, 1)], [0]), note="one copy of a test image"),
        Case((2, [(0, 1)], [1]), note="the same, the pair the other way round"),
        Case((3, [], [1]), note="no pairs"),
        Case((3, [(1, 2)], [0]), note="a pair within the training part"),
        Case((3, [(0, 1), (1, 2)], [0]), note="a copy of a copy"),
        Case((5, [(3, 4), (2, 3), (1, 2)], [1]), note="a longer chain, its end first"),
        Case((2, [(0, 1)], [0, 1]), note="everything is tested"),
    ]
    for _ in range(6):
        order = torch.randperm(10, generator=draw).tolist()
        pairs = [(a, b) for a, b in torch.randint(10, (5, 2), generator=draw).tolist() if a != b]
        cases.append(Case((10, pairs, sorted(order[:2]))))
    return cases


def same_numbers(got: object, right: object) -> bool:
    """Say whether two collections hold the same whole numbers, each once, in whatever order.

    Args:
        got: what came: a list, a set, a tensor or an array of numbers.
        right: a list of them.

    Returns:
        True when they agree.
    """
    listed = list(got) if isinstance(got, set | frozenset) else got
    if isinstance(listed, list | tuple) and not listed:
        return not right
    numbers = as_array(listed)
    if numbers is None or numbers.ndim != 1 or numbers.dtype.kind not in "iuf":
        return False
    return sorted(numbers.tolist()) == sorted(right)


q3 = Function(
    id="01.q3",
    title="who may be trained on?",
    objective=2,
    level="Build",
    minutes=10,
    prompt="""\
The test images are fixed, and a detector has found pairs of images that look alike. A test image's copy must not be trained \
on, and neither must a copy of that copy, nor a copy of that one, and so on. Write the function that says what is left. There \
are `count` images with numbers from 0; `pairs` is a list such as `[(0, 3), (4, 3)]`, in no order, and which of a pair comes \
first means nothing; `test` is a list of the tested images. Return the numbers of all images that may be trained on.""",
    starter='''\
def safe_to_train(count, pairs, test):
    """Numbers of the images that are neither tested nor linked to a tested one."""
    ...
''',
    answer="safe_to_train",
    setup="import torch\nfrom tlcourse.data import cleaning, splits",
    reference='''\
def safe_to_train(count, pairs, test):
    """Numbers of the images that are neither tested nor linked to a tested one."""
    reached, before = set(test), 0
    while len(reached) > before:  # one round follows one link; go on until a round finds nothing new
        before = len(reached)
        for pair in pairs:
            if not reached.isdisjoint(pair):
                reached |= set(pair)
    return [image for image in range(count) if image not in reached]
''',
    alternative="""\
def safe_to_train(count, pairs, test):
    findings = [cleaning.Finding("near duplicate", a, "", 0.0, b) for a, b in pairs]
    groups = cleaning.duplicate_groups(count, findings)
    return (~torch.isin(groups, groups[test])).nonzero()[:, 0]
""",
    hints=(
        "Begin with a set of what is tested, and let it grow: whenever one image of a pair is in it, the other one belongs "
        "into it too.",
        "One walk through the pairs is not enough, because a link can come before the one that it hangs on. Walk again, as "
        "long as the set has grown. What is outside in the end is the answer.",
    ),
    cases=_linked,
    agrees=same_numbers,
    look_at="the pairs: draw the images as points and the pairs as lines, and follow them from the tested ones",
    mistakes=(
        Mistake(
            "only direct copies",
            "def safe_to_train(count, pairs, test):\n"
            "    copies = {a for a, b in pairs if b in test} | {b for a, b in pairs if a in test}\n"
            "    return [i for i in range(count) if i not in copies and i not in test]\n",
            "You leave out the copies of test images, but not the copies of these copies, which look like the test image as "
            "well.",
        ),
        Mistake(
            "one walk through the pairs",
            "def safe_to_train(count, pairs, test):\n"
            "    reached = set(test)\n"
            "    for a, b in pairs:\n"
            "        if a in reached or b in reached:\n"
            "            reached |= {a, b}\n"
            "    return [i for i in range(count) if i not in reached]\n",
            "Your result depends on the order of the pairs: you follow a chain only when its links happen to come in the right "
            "order. Turn the list of pairs round, and try again.",
        ),
        Mistake(
            "one direction of a pair",
            "def safe_to_train(count, pairs, test):\n"
            "    reached = set(test)\n"
            "    for _ in range(count):\n"
            "        reached |= {b for a, b in pairs if a in reached}\n"
            "    return [i for i in range(count) if i not in reached]\n",
            "You follow a pair from its first image to its second only. If 0 looks like 3, then 3 looks like 0.",
        ),
        Mistake(
            "everything that has a copy",
            "def safe_to_train(count, pairs, test):\n"
            "    alike = {i for pair in pairs for i in pair}\n"
            "    return [i for i in range(count) if i not in alike and i not in test]\n",
            "You leave out every image of every pair. Two training images that look alike are no leak, as long as no test "
            "image looks like them.",
        ),
        Mistake(
            "trains on the test images",
            "def safe_to_train(count, pairs, test):\n"
            "    reached = set(test)\n"
            "    for _ in range(count):\n"
            "        reached |= {i for pair in pairs if reached & set(pair) for i in pair}\n"
            "    return [i for i in range(count) if i not in reached or i in test]\n",
            "The copies are gone, but the test images themselves are in your result.",
        ),
        Mistake(
            "those to leave out",
            "def safe_to_train(count, pairs, test):\n"
            "    reached = set(test)\n"
            "    for _ in range(count):\n"
            "        reached |= {i for pair in pairs if reached & set(pair) for i in pair}\n"
            "    return sorted(reached)\n",
            "You return the images that must not be trained on. Asked for are all the others.",
        ),
    ),
)


def turn(image: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    """Turn the picture by 8 to 15 degrees, to the left or to the right."""
    degrees = 8 + 7 * torch.rand(1, generator=draws)
    side = 2 * torch.randint(2, (1,), generator=draws) - 1
    return rotate_by(image[None].float(), side * degrees)[0].round().clamp(0, 255).to(torch.uint8)


def enlarge(image: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    """Cut off three pixels at every edge, and enlarge what is left to the old size."""
    middle = image[None, :, 3:-3, 3:-3].float()
    return F.interpolate(middle, size=image.shape[1:], mode="bilinear", align_corners=False)[0].round().to(torch.uint8)


MADE: Mapping[str, Callable[[torch.Tensor, torch.Generator], torch.Tensor]] = {
    "exact": lambda image, draws: image,
    **CHANGES,
    "turned": turn,
    "enlarged": enlarge,
}
EACH = 10  # copies of every kind


@functools.lru_cache(maxsize=4)
def with_copies(seed: int) -> tuple[torch.Tensor, Mapping[tuple[int, int], str]]:
    """Return digits that no notebook holds, with copies of some of them and blank images among them.

    Args:
        seed: which draw.

    Returns:
        Images, uint8 `[996, 3, 32, 32]`, and for every planted pair (later image, earlier image) how the copy was made.
    """
    draws = generator("01.q4", FRESH + seed)
    dirty, truth = plant_dirt(held_out(seed), draws, exact=EACH * len(MADE), near=0, wrong=0)
    images, kinds = dirty.images.clone(), {}
    for k, (copy, original) in enumerate(truth.exact.items()):
        how = list(MADE)[k % len(MADE)]
        images[copy] = MADE[how](images[copy], draws)
        kinds[max(copy, original), min(copy, original)] = how
    return images, kinds


def as_pairs(report: object) -> set[tuple[int, int]]:
    """Read pairs of image numbers, the larger one first, from what a learner's function returned.

    Args:
        report: a list or set of pairs, or a tensor or array `[P, 2]`.

    Returns:
        Every pair once.

    Raises:
        TypeError: something else came.
    """
    array = as_array(report)
    listed = array.tolist() if array is not None else report
    is_listed = isinstance(listed, list | tuple | set)
    if not is_listed or not all(isinstance(pair, list | tuple | set) and 1 <= len(pair) <= 2 for pair in listed):
        raise TypeError("pairs of image numbers were expected, such as [(7, 3), (12, 5)]")
    return {(int(max(pair)), int(min(pair))) for pair in listed}


def f1(report: object, seed: int) -> float:
    """Return the F1 of pairs that were found: the harmonic mean of precision and recall.

    Args:
        report: the pairs.
        seed: of the images.

    Returns:
        From 0 to 100.
    """
    found, planted = as_pairs(report), with_copies(seed)[1]
    return 100 * 2 * len(found & planted.keys()) / (len(found) + len(planted))


def what_was_found(report: object, seed: int) -> list[tuple[str, str]]:
    """Return precision and recall, and how many copies of every kind were found, as details of a card."""
    found, planted = as_pairs(report), with_copies(seed)[1]
    precision, recall = precision_recall(found, planted)
    counts = {how: sum(planted[pair] == how for pair in found & planted.keys()) for how in MADE}
    lines = [f"{how:11s} {count:2d} of {EACH}" for how, count in counts.items()]
    return [
        ("precision", f"{precision:.0%} of {len(found)} pairs"),
        ("recall", f"{recall:.0%} of {len(planted)} copies"),
        ("found", "\n".join(lines)),
    ]


def _are_numbers(report: Any, score: float | None) -> bool:  # noqa: ANN401
    array = as_array(list(report) if isinstance(report, set) else report)
    return score is None and array is not None and array.ndim == 1


q4 = Challenge(
    id="01.q4",
    title="find the copies",
    objective=1,
    minutes=25,
    points=2,
    prompt="""\
Write a detector of copies that sees more than the course's two. The check gives it 996 images that this notebook does not \
hold, uint8 `[N, 3, 32, 32]`. Among them are 90 copies, ten of each of nine kinds: exact, the six changes that you know from \
`dirt.CHANGES`, and two new ones, *turned* by 8 to 15 degrees and *enlarged* (three pixels cut off at every edge). There are 15 \
blank images too, which are nobody's copy. Return pairs of numbers, copy and original in any order.

The score is **F1**, the harmonic mean of precision P and recall R, 2PR / (P + R) in percent: it is high only when both are. The \
course's two detectors together reach about 60 %. The goal is 75 %, and there is a good deal above it. A run may take 90 \
seconds.""",
    starter='''\
def find_copies(images):
    """Pairs of numbers, such as [(7, 3), (12, 5)]: these two show the same picture."""
    ...
''',
    answer="find_copies",
    setup="import torch\nimport tlcourse as tl\nfrom tlcourse.data import cleaning, normalisation, splits\n"
    "from tlcourse.data import augmentations, defects as dirt",
    reference='''\
def find_copies(images):
    """Pairs of numbers, such as [(7, 3), (12, 5)]: these two show the same picture."""
    middles, pairs = cleaning.thumbnails(images[..., 4:28]), set()
    for version in (images, images.flip(3)):  # a mirrored copy is near its mirrored original only
        for left in range(9):  # the middle of a copy that was moved by up to 4 pixels lies elsewhere in its original
            alike = middles @ cleaning.thumbnails(version[..., left : left + 24]).T
            near = (alike > 0.985).nonzero().tolist()  # nearer than 0.05: with 18 looks at each pair, luck has 18 chances
            pairs |= {(max(pair), min(pair)) for pair in near if pair[0] != pair[1]}
    return pairs
''',
    alternative="""\
def find_copies(images):
    grey, count = images.float().mean(1), len(images)
    found = torch.zeros(count, count, dtype=torch.bool)
    plain = torch.nn.functional.avg_pool2d(grey[:, :, 4:-4], 4).flatten(1)
    for step in range(-4, 5):
        for picture in (grey, grey.flip(2)):
            moved = picture.roll(step, 2)[:, :, 4:-4]
            other = torch.nn.functional.avg_pool2d(moved, 4).flatten(1)
            found |= torch.corrcoef(torch.cat([plain, other]))[:count, count:] > 0.98
    return (found | found.T).triu(1).nonzero()
""",
    hints=(
        "A detector finds what it looks at. A mirrored copy is near the original when you mirror one of them first; a moved "
        "copy is, when you compare a part of one with another part of the other.",
        "`cleaning.thumbnails` takes images of any size, so it takes a strip too: `images[..., 4:28]` is the middle one, and "
        "`images[..., 8:32]` one that lies 4 pixels further right. The product of two sets of thumbnails gives all "
        "correlations at once. To measure yourself here, plant dirt: `dirty.images` and `truth.pairs({**truth.exact, "
        "**truth.near})`.",
    ),
    limits=Limits(seconds=90, memory=2**31),
    inputs=lambda seed: (with_copies(seed)[0],),
    score=f1,
    explain=what_was_found,
    goal=75,
    mistakes=(
        Mistake(
            "numbers instead of pairs",
            "def find_copies(images):\n    return [f.which for f in cleaning.find_exact_duplicates(images)]\n",
            "Your function returns numbers of images. Asked for are pairs: which image, and of which other one it is a copy.",
            _are_numbers,
        ),
        Mistake(
            "an image as its own copy",
            "def find_copies(images):\n"
            "    near = cleaning.thumbnail_distances(images, images) <= 0.05\n"
            "    return near.nonzero()\n",
            "Some of your pairs name the same image twice. Every image is near itself; that is no finding.",
            lambda report, score: score is not None and any(a == b for a, b in as_pairs(report)),
        ),
        Mistake(
            "exact copies only",
            "def find_copies(images):\n"
            "    return [(f.which, f.partner) for f in cleaning.find_exact_duplicates(images)]\n",
            "These are the exact copies and no others: all right, and a ninth of what is there. Eight kinds of changed copies "
            "are left.",
            lambda report, score: score is not None and len(as_pairs(report)) <= EACH and score > 15,
        ),
        Mistake(
            "a threshold that lets everything in",
            "def find_copies(images):\n"
            "    findings = cleaning.find_near_duplicates(images, threshold=0.3)\n"
            "    return [(f.which, f.partner) for f in findings]\n",
            "So many pairs: nearly all are false alarms, and precision shows it. Which threshold did the notebook use, and "
            "what happened to the false alarms in the lab when it rose?",
            lambda report, score: score is not None and len(as_pairs(report)) > 270,
        ),
        Mistake(
            "the course's detectors as they are",
            "def find_copies(images):\n"
            "    findings = cleaning.find_exact_duplicates(images) + cleaning.find_near_duplicates(images)\n"
            "    return [(f.which, f.partner) for f in findings]\n",
            "That is about what the course's two detectors reach. Look below at the kinds of which hardly a copy is found: "
            "what would you have to do to one of the images, so that the two look alike?",
            lambda report, score: score is not None and 50 < score < 68,
        ),
    ),
)

EXERCISES = (q1, q2, q3, q4)

__all__ = ["EXERCISES", "q1", "q2", "q3", "q4", "quiz"]
