"""The exercises of notebook 12."""

import torch

from tlcourse.exercises.exercise import Mistake
from tlcourse.exercises.kinds import Case, Challenge, Function, Mend, Value
from tlcourse.lessons.nb12_your_own_images.quiz import quiz
from tlcourse.lessons.nb12_your_own_images.referrals import (
    PROMISE,
    answers_all,
    answers_none,
    breaks_the_promise,
    given,
    percent_sorted,
    sorted_and_right,
)
from tlcourse.repro import generator

q1 = Value(
    id="12.q1",
    title="how much of it is seen?",
    objective=2,
    level="Read",
    minutes=6,
    unit="%",
    tolerance=0.005,
    prompt="""\
A camera gives photographs of 640 x 480 pixels. Before a network sees one, the shorter side is resized to 256 pixels \
and the longer one with it; then the middle 224 x 224 pixels are cut out. The rest is never looked at. What share of \
the photograph's area does the network see, in percent?""",
    starter="seen = None  # a number from 0 to 100",
    answer="seen",
    reference="""\
# after resizing, the photograph has 256 x 256 * 640 / 480 pixels; the square is cut out of those
seen = 100 * 224**2 / (256 * 256 * 640 / 480)
""",
    alternative="""\
scale = 256 / 480
side = 224 / scale  # in pixels of the photograph as it was taken
seen = 100 * (side * side) / (640 * 480)
""",
    hints=(
        "How large is the photograph after resizing? One side is given; the other keeps its proportion to it.",
        "The resized photograph has 256 x 341 pixels. Compare its area with that of the square.",
    ),
    mistakes=(
        Mistake(
            "forgot the longer side",
            "seen = 100 * 224**2 / 256**2",
            "That would be right for a square photograph. This one is wider than high, and what lies to the left "
            "and to the right of the square is lost too.",
        ),
        Mistake(
            "compared sides instead of areas",
            "seen = 100 * 224 / 256",
            "That is how much is seen of the shorter side. The question asks for the area, and the other side "
            "loses more.",
        ),
        Mistake(
            "forgot the resizing",
            "seen = 100 * 224**2 / (640 * 480)",
            "You cut the square out of the photograph as it was taken. It is resized first, so a pixel of the square "
            "stands for several.",
        ),
    ),
)


SHARE = '''\
def share_right(answers, model_classes, labels, folder_classes):
    """The share of photographs that the classifier names rightly, from 0 to 1."""
    right = 0
    for answer, label in zip(answers, labels, strict=True):
        if {condition}:
            right += 1
    return right / len(labels)
'''


def _two_lists(seed: int) -> list[Case]:
    """The same classes in another order, fewer classes in the folder, and one that the classifier does not know."""
    draw = generator("12.q2", seed)
    names = ("apple", "kiwi", "lemon", "mango", "plum", "pear")
    cases = [
        Case(([0, 1], ("kiwi", "plum"), [0, 1], ("kiwi", "plum")), note="one order"),
        Case(([0, 0, 1], ("plum", "kiwi"), [1, 1, 0], ("kiwi", "plum")), note="another order, all right"),
        Case(([0, 1, 1], ("plum", "kiwi"), [0, 1, 1], ("kiwi", "plum")), note="another order, none right"),
        Case(([1, 0, 1], ("plum", "kiwi"), [1, 0, 0], ("kiwi", "lime")), note="a class that it does not know"),
    ]
    for _ in range(6):
        mine = [names[i] for i in torch.randperm(6, generator=draw).tolist()]
        theirs = [(*names, "lime")[i] for i in torch.randperm(7, generator=draw)[:5].tolist()]
        answers = torch.randint(6, (12,), generator=draw).tolist()
        known = [theirs.index(mine[a]) if mine[a] in theirs else 0 for a in answers]
        noise = torch.randint(5, (12,), generator=draw).tolist()
        labels = [k if i % 2 else n for i, (k, n) in enumerate(zip(known, noise, strict=True))]
        cases.append(Case((answers, tuple(mine), labels, tuple(theirs))))
    return cases


q2 = Mend(
    id="12.q2",
    title="two lists of classes",
    objective=5,
    minutes=6,
    prompt="""\
A classifier was trained in spring. In autumn somebody asks it about a new folder, and counts with this function. It \
scores 8 %, and everybody blames the light. But the classifier is as good as ever: it numbers its classes in the \
order of its own list, and the folder numbers its classes in the order of another. Find the fault, and mend it. A \
photograph of a class that the classifier does not know counts as wrong.""",
    starter=SHARE.format(condition="answer == label"),
    answer="share_right",
    reference=SHARE.format(
        condition="model_classes[answer] == folder_classes[label]:  # a number needs its own list"
    ).replace("list:\n", "list\n"),
    alternative="""\
def share_right(answers, model_classes, labels, folder_classes):
    said = [model_classes[i] for i in answers]
    true = [folder_classes[i] for i in labels]
    return sum(a == b for a, b in zip(said, true)) / len(true)
""",
    hints=(
        "The classifier answers 3, the label is 3. Look both up in the lists: is it the same fruit?",
        "Compare names, not numbers. Each number has its own list to be looked up in.",
    ),
    cases=_two_lists,
    look_at="which name each number stands for, on either side",
    mistakes=(
        Mistake(
            "looks both up in one list",
            SHARE.format(condition="model_classes[answer] == model_classes[label]"),
            "Both numbers are looked up in the classifier's list, but the labels are numbers of the folder's list. "
            "Equal numbers again count as right.",
        ),
        Mistake(
            "sorts the lists",
            SHARE.format(condition="sorted(model_classes)[answer] == sorted(folder_classes)[label]"),
            "Sorting gives the lists the same order, but the numbers were given in the old one: they now point at "
            "other names.",
        ),
        Mistake(
            "leaves out what it does not know",
            """\
def share_right(answers, model_classes, labels, folder_classes):
    known = [(a, b) for a, b in zip(answers, labels) if folder_classes[b] in model_classes]
    return sum(model_classes[a] == folder_classes[b] for a, b in known) / max(1, len(known))
""",
            "You leave out photographs of classes that the classifier does not know. Whoever uses it meets them "
            "all the same, and each of them is answered wrongly.",
        ),
        Mistake(
            "counts instead of a share",
            SHARE.format(condition="model_classes[answer] == folder_classes[label]").replace(" / len(labels)", ""),
            "This is how many were right. Asked is the share, from 0 to 1.",
        ),
    ),
)


PREPARE = '''\
def prepare(pixels, crop, mean, std):
    """Bytes [H, W, 3] to normalised numbers [3, crop, crop]."""
    height, width, _ = pixels.shape
    top, left = (height - crop) // 2, (width - crop) // 2
    square = pixels[top : top + crop, left : left + crop].permute(2, 0, 1)
    {last}
'''


def _pictures(seed: int) -> list[Case]:
    """Small pictures in both directions, one that is all square, and the statistics of two families of networks."""
    draw = generator("12.q3", seed)
    imagenet, half = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]), ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5])
    sizes = ((2, 4, 2, "one row above the other"), (6, 4, 4, "higher than wide"), (4, 4, 4, "nothing to cut"))
    cases = []
    for height, width, crop, note in (*sizes, (5, 9, 3, "wider than high"), (8, 6, 2, "a small square")):
        pixels = torch.randint(256, (height, width, 3), dtype=torch.uint8, generator=draw)
        for mean, std in (imagenet, half):
            cases.append(Case((pixels, crop, torch.tensor(mean), torch.tensor(std)), note=note))
    return cases


q3 = Function(
    id="12.q3",
    title="prepare a photograph",
    objective=2,
    level="Build",
    minutes=10,
    prompt="""\
You want to use your classifier on a device that has PyTorch and nothing of this course. Write what a photograph must \
go through after resizing. `pixels` are bytes, uint8 `[H, W, 3]`, red, green and blue. Cut out the middle `crop` x \
`crop` pixels (the borders differ by an even number, so there is one middle), bring 0..255 to 0..1, take `mean` off \
each channel and divide it by `std` (both float `[3]`), and put the channels first: `[3, crop, crop]`.""",
    starter='''\
def prepare(pixels, crop, mean, std):
    """Bytes [H, W, 3] to normalised numbers [3, crop, crop]."""
    ...
''',
    answer="prepare",
    setup="import torch",
    reference=PREPARE.format(
        last="# [3] alone would be taken for the last dimension, which is a width; [3, 1, 1] meets the channels\n"
        "    return (square / 255 - mean[:, None, None]) / std[:, None, None]"
    ),
    alternative="""\
def prepare(pixels, crop, mean, std):
    border = [(side - crop) // 2 for side in pixels.shape[:2]]
    square = pixels[border[0] : border[0] + crop, border[1] : border[1] + crop].float() / 255
    return ((square - mean) / std).movedim(-1, 0)
""",
    hints=(
        "Four steps, each one line: cut, divide by 255, normalise, put the channels first. While the channels are "
        "last, `pixels - mean` takes the right mean off each of them by itself.",
        "If the picture is 6 high and the square 4, one row is cut off above and one below: the square begins at "
        "(6 - 4) // 2. `permute(2, 0, 1)` puts the last dimension first.",
    ),
    cases=_pictures,
    look_at="one pixel: its number in the middle of the picture, divided by 255, minus the mean, by the std",
    mistakes=(
        Mistake(
            "stops at 0 to 1",
            PREPARE.format(last="return square / 255"),
            "Your numbers go from 0 to 1. The network learned from numbers whose mean was taken off and which were "
            "divided by the standard deviation.",
        ),
        Mistake(
            "never divides by 255",
            PREPARE.format(last="return (square - mean[:, None, None]) / std[:, None, None]"),
            "Mean and standard deviation are in units of 0 to 1, and your pixels go to 255. Your result is hundreds of "
            "times too large.",
        ),
        Mistake(
            "blue first",
            PREPARE.format(last="return (square.flip(0) / 255 - mean[:, None, None]) / std[:, None, None]"),
            "Red and blue have changed places. Some libraries read pictures so; these bytes are red, green, blue "
            "already.",
        ),
        Mistake(
            "cuts from the corner",
            PREPARE.format(last="return (square / 255 - mean[:, None, None]) / std[:, None, None]").replace(
                "(height - crop) // 2, (width - crop) // 2", "0, 0"
            ),
            "You cut the square out of the upper left corner. Asked is the middle.",
        ),
        Mistake(
            "divides by the variance",
            PREPARE.format(last="return (square / 255 - mean[:, None, None]) / std[:, None, None] ** 2"),
            "You divide by the square of `std`. It is divided once.",
        ),
    ),
)


q4 = Challenge(
    id="12.q4",
    title="say when a person should look",
    objective=4,
    minutes=20,
    points=2,
    prompt=f"""\
A network that learned printed digits has to sort handwritten ones, which it reads to about 70 %. It may hand any of \
them to a person. What it does answer must be right in at least {PROMISE} of 100 cases: that is promised. Write \
`sort_out(seen, labels, new)`. `seen` are its scores for 906 photographs whose `labels` are known, float `[906, 10]` \
and int `[906]`; `new` are its scores for 891 others, by other hands. Return 891 whole numbers: the class, or -1 for \
a person. Your score is the share that gets an answer, and 0 if the promise is broken. The goal is 25 %; more than 80 \
% can be reached, with nothing but these scores.""",
    starter='''\
def sort_out(seen, labels, new):
    """A class for every row of new, or -1 where a person should look."""
    ...
''',
    answer="sort_out",
    setup="import torch\nimport tlcourse as tl",
    reference='''\
def sort_out(seen, labels, new):
    """A class for every row of new, or -1 where a person should look."""
    sure, answers = seen.softmax(1).max(1)
    order = sure.argsort(descending=True)
    right = (answers == labels)[order].double()
    share = right.cumsum(0) / torch.arange(1, len(right) + 1)  # right among the 1, 2, 3, ... surest
    last = (share >= 0.935).nonzero()[-1, 0]  # a little more than was promised: other hands, other luck
    sure_now, answers_now = new.softmax(1).max(1)
    return torch.where(sure_now >= sure[order][last], answers_now, -1)
''',
    alternative="""\
def sort_out(seen, labels, new):
    from tlcourse.transfer.linear_probe import solve_probe
    odd = torch.arange(len(seen)) % 2 == 1
    probe = solve_probe(seen[odd], labels[odd], 10)  # ten scores are ten features: learn to read them anew
    def read(scores):
        return (scores.double() @ probe.weight.T + probe.bias).softmax(1).max(1)
    sure, answers = read(seen[~odd])
    order = sure.argsort(descending=True)
    share = (answers == labels[~odd])[order].double().cumsum(0) / torch.arange(1, len(order) + 1)
    limit = sure[order][(share >= 0.96).nonzero()[-1, 0]]
    sure, answers = read(new)
    return [int(a) if s >= limit else -1 for s, a in zip(sure, answers)]
""",
    hints=(
        "`scores.softmax(1).max(1)` gives how sure the network is, and its answer. Sort the photographs with "
        "labels by how sure it is: down to which place are enough of its answers right?",
        "Take the confidence at that place as the limit for new photographs, and keep a little in reserve: what is "
        f"exactly {PROMISE} % on these hands may be less on others.",
        "For more: the network makes the same mistakes again and again. Its ten scores are ten features, and you "
        "have 906 labels. What would a linear probe on them learn? Find the limit on photographs that it did not "
        "learn from.",
    ),
    inputs=given,
    score=percent_sorted,
    explain=sorted_and_right,
    goal=25,
    unit="% answered",
    mistakes=(
        Mistake(
            "answers everything",
            "def sort_out(seen, labels, new):\n    return new.argmax(1)\n",
            "Your function answers every photograph, and far too few of the answers are right. Where the network "
            "is not sure, return -1.",
            answers_all,
        ),
        Mistake(
            "answers nothing",
            "def sort_out(seen, labels, new):\n    return torch.full((len(new),), -1)\n",
            "Everything goes to a person: no promise is broken, and nobody needs the network.",
            answers_none,
        ),
        Mistake(
            "takes the network at its word",
            "def sort_out(seen, labels, new):\n"
            "    sure, answers = new.softmax(1).max(1)\n"
            f"    return torch.where(sure >= {PROMISE / 100}, answers, -1)\n",
            f"Fewer than {PROMISE} of 100 of your answers are right. A confidence of {PROMISE} % is what the "
            "network claims, not what was counted. On the photographs with labels you can count how often it is "
            "right above each confidence; and keep a little in reserve.",
            breaks_the_promise,
        ),
    ),
)

EXERCISES = (q1, q2, q3, q4)

__all__ = ["EXERCISES", "q1", "q2", "q3", "q4", "quiz"]
