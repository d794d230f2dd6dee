"""The exercises of notebook 03."""

import functools
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.exercises.compare import as_array
from tlcourse.exercises.exercise import Mistake
from tlcourse.exercises.held_out import FRESH, few_digits, held_out, is_no_network, keeps_the_old_head, scores_below
from tlcourse.exercises.kinds import Case, Challenge, Foresee, Function, Mend
from tlcourse.exercises.runner.process import Limits
from tlcourse.lessons.nb03_fine_tuning.experiment import SHIFT, WORLD
from tlcourse.lessons.nb03_fine_tuning.quiz import quiz
from tlcourse.models.pretrained import pretrained
from tlcourse.repro import generator, seeded

TWO_STEPS = """\
gradient = torch.tensor([10.0, 0.1])  # the same at both steps
ways = (descent.gradient_descent, descent.momentum, descent.adam)
result = [
    descent.walk(lambda theta: gradient, torch.zeros(2), rule, rate=0.1, steps=2)[-1]
    for rule in ways
]
"""


def _row_is(number: int, wanted: Sequence[float]) -> Callable[[object], bool]:
    """Return what says whether one of the three rows of an answer is the wanted one, whatever the others are."""

    def matches(value: object) -> bool:
        rows = _rows(value)
        return rows is not None and np.allclose(rows[number], wanted, rtol=0.01, atol=1e-4)

    return matches


def _rows(value: object) -> np.ndarray | None:
    """Read an answer as float64 `[3, 2]`, or None if it is no such thing."""
    rows = as_array(value)
    return rows.astype(float) if rows is not None and rows.shape == (3, 2) and rows.dtype.kind in "iuf" else None


def _goes_uphill(value: object) -> bool:
    rows = _rows(value)
    return rows is not None and bool((rows > 0).any())


def _adam_keeps_size(value: object) -> bool:
    """Adam moves both weights equally far; here the steep one goes further."""
    rows = _rows(value)
    return rows is not None and abs(rows[2, 0]) > 1.5 * abs(rows[2, 1])


q1 = Foresee(
    id="03.q1",
    title="two steps, three rules",
    objective=2,
    level="Read",
    minutes=7,
    prompt=f"""\
Two weights start at 0. The loss is 100 times as steep for the first as for the second, and both slopes stay the same for \
two steps. Where do plain gradient descent, momentum and Adam take the two weights? Find out on paper, before you run this:

```python
{TWO_STEPS}```

Momentum keeps 90 % of its velocity. Adam's correction for the first steps is in place, so that with a gradient that stays \
the same its two means *are* the gradient and its square. Give three pairs, in this order.""",
    starter="foreseen = None  # [[?, ?], [?, ?], [?, ?]]: descent, momentum, Adam",
    answer="foreseen",
    setup="import torch\nfrom tlcourse.training import optimizers as descent",
    snippet=TWO_STEPS,
    tolerance=2e-3,
    reference="""\
foreseen = [
    [-2.0, -0.02],  # twice rate times gradient
    [-2.9, -0.029],  # the second velocity is 0.9 of the first plus the gradient again: 1 + 1.9 times
    [-0.2, -0.2],  # gradient over its own size is 1, so each step has the length of the rate, for both weights
]
""",
    alternative="""\
step = -0.1 * torch.tensor([10, 0.1])
foreseen = torch.stack([step + step, step + (0.9 * step + step), 2 * 0.1 * step.sign()])
""",
    why="Gradient descent and momentum move the steep weight 100 times as far as the flat one; momentum goes further, "
    "since the first step goes on in the second. Adam divides the size of the gradient away: both weights move by the "
    "rate. That is why a rate says nothing without the name of its optimiser.",
    hints=(
        "Take one weight and one step at a time. For momentum, write the velocity down after each step: first the "
        "gradient, then 90 % of that plus the gradient again. The weight moves by rate times velocity.",
        "Adam divides the mean gradient by the root of the mean square. What is 10 divided by the root of 10 squared? And "
        "0.1 by the root of 0.1 squared?",
    ),
    mistakes=(
        Mistake(
            "no three pairs",
            "foreseen = [-2, -2.9, -0.2]",
            "Expected three pairs of numbers in a list: for descent, momentum and Adam, where the first weight is in the end "
            "and where the second.",
            lambda value: _rows(value) is None,
        ),
        Mistake(
            "goes uphill",
            "foreseen = [[2, 0.02], [2.9, 0.029], [0.2, 0.2]]",
            "A weight of yours moves up. The gradient points to where the loss grows; which way does a step go?",
            _goes_uphill,
        ),
        Mistake(
            "one step only",
            "foreseen = [[-1, -0.01], [-1, -0.01], [-0.1, -0.1]]",
            "Gradient descent is there after one step. The code takes two.",
            _row_is(0, (-1, -0.01)),
        ),
        Mistake(
            "momentum without a memory",
            "foreseen = [[-2, -0.02], [-2, -0.02], [-0.2, -0.2]]",
            "Your momentum goes as far as gradient descent. At the second step, what is left of the first?",
            _row_is(1, (-2, -0.02)),
        ),
        Mistake(
            "momentum without the new gradient",
            "foreseen = [[-2, -0.02], [-1.9, -0.019], [-0.2, -0.2]]",
            "At the second step your momentum rolls on with 90 % of its velocity, but the slope is still there and adds to "
            "it.",
            _row_is(1, (-1.9, -0.019)),
        ),
        Mistake(
            "Adam keeps the size of the gradient",
            "foreseen = [[-2, -0.02], [-2.9, -0.029], [-2, -0.02]]",
            "Your Adam moves the first weight much further than the second. What does it divide the mean gradient by, for "
            "each weight on its own?",
            _adam_keeps_size,
        ),
        Mistake(
            "Adam without its correction",
            "foreseen = [[-2, -0.02], [-2.9, -0.029], [-0.741, -0.741]]",
            "Your Adam takes its means as they are, but they begin at 0 and are too small at first, each by another factor. "
            "Adam divides these factors out.",
            _row_is(2, (-0.741, -0.741)),
        ),
    ),
)

FINE_TUNE = '''\
def fine_tune(network, head, x, y):
    """Put the head on, train everything for five steps, return all weights."""
    {before}
    {after}
    for _ in range(5):
        optimizer.zero_grad()
        F.cross_entropy(network(x), y).backward()
        optimizer.step()
    return network.state_dict()
'''
MAKE = "optimizer = torch.optim.SGD({what}, lr=0.1, momentum=0.9)"
ALL, PUT_ON = MAKE.format(what="network.parameters()"), "network.head = head"


def _short(values: torch.Tensor) -> torch.Tensor:
    """Round, so that a card shows the very numbers."""
    return (values * 10).round() / 10


def _transfers(seed: int) -> list[Case]:
    """Small networks with a new head and one batch: another number of classes, the same, no bias, a frozen backbone."""
    draw = generator("03.q2", seed)

    def case(old: int, new: int, images: int, note: str = "", *, bias: bool = True, frozen: bool = False) -> Case:
        with seeded("03.q2", seed, old, new, images):
            network = nn.Sequential(OrderedDict(backbone=nn.Linear(2, 2), head=nn.Linear(2, old)))
            head = nn.Linear(2, new, bias=bias)
        for weights in (*network.parameters(), *head.parameters()):
            weights.data.copy_(_short(weights.data))
        network.backbone.requires_grad_(not frozen)
        x = torch.randn(images, 2, generator=draw)
        y = torch.randint(min(old, new), (images,), generator=draw)  # so that the old head stumbles without an error
        return Case((network, head, x, y), note=note)

    edges = [
        case(3, 2, 1, "one image"),
        case(2, 2, 3, "as many classes as before"),
        case(2, 3, 4, "a head without bias", bias=False),
        case(3, 4, 2, "a frozen backbone", frozen=True),
    ]
    return edges + [case(int(torch.randint(2, 5, (), generator=draw)), 3, images) for images in (2, 3, 4, 5, 6)]


q2 = Mend(
    id="03.q2",
    title="the part that never moves",
    objective=5,
    minutes=6,
    prompt="""\
This function puts a new head on a network and trains it for five steps on one batch. The loss falls, and nothing complains. \
Yet a part of the network never moves, and `tl.fit` is not there to notice. Find the fault, and mend it. The function returns \
the state dict: compare it with what went in. (The check's networks begin with weights of one decimal, so that you see \
which ones did not move.)""",
    starter=FINE_TUNE.format(before=ALL, after=PUT_ON),
    answer="fine_tune",
    setup="import torch\nimport torch.nn.functional as F",
    reference=FINE_TUNE.format(
        before=PUT_ON, after="# last, since it holds the very tensors that are there when it is made\n    " + ALL
    ),
    alternative="""\
def fine_tune(network, head, x, y):
    backbone = [p for n, p in network.named_parameters() if not n.startswith("head.")]
    optimizer = torch.optim.SGD(backbone, lr=0.1, momentum=0.9)
    network.head = head
    optimizer.add_param_group({"params": list(head.parameters())})
    for step in range(5):
        loss = F.cross_entropy(network(x), y)
        for p in network.parameters():
            p.grad = None
        loss.backward()
        optimizer.step()
    return {name: weights.clone() for name, weights in network.state_dict().items()}
""",
    hints=(
        "Compare `head.weight` and `backbone.weight` before and after, on paper or in a cell of your own. Which of them is "
        "moved, and by whom?",
        "`network.parameters()` is asked once, in the first line. Which head hangs on the network at that moment?",
    ),
    cases=_transfers,
    look_at="which of the weights are still what they were, and which tensors the optimiser was given; rate, momentum and number of steps "
    "should stay",
    mistakes=(
        Mistake(
            "the head still comes too late",
            FINE_TUNE.format(before=MAKE.format(what="list(network.parameters())"), after=PUT_ON),
            "The new head is still what it was when it came in: the backbone learns to please it. Which head does the "
            "optimiser hold?",
        ),
        Mistake(
            "trains the head alone",
            FINE_TUNE.format(before=PUT_ON, after=MAKE.format(what="head.parameters()")),
            "Now the head learns, and the backbone stays behind: that is a linear probe. Everything that may move should.",
        ),
        Mistake(
            "a new optimiser at every step",
            FINE_TUNE.format(before=PUT_ON, after="").replace("optimizer.zero_grad()", f"{ALL}\n        optimizer.zero_grad()"),
            "All weights move now, but the optimiser is made anew at every step and has forgotten its velocity each time. "
            "It must outlive the loop.",
        ),
        Mistake(
            "keeps the old head",
            FINE_TUNE.format(before=ALL, after=""),
            "Everything moves now, but the head that does is the old one: the new one is never put on.",
        ),
    ),
)  # fmt: skip

WEIGHTED = '''\
def weighted_gradient(scores, labels, weights):
    """The gradient of the weighted loss with respect to the scores, [N, classes]."""
    said = F.softmax(scores, 1)
    wanted = F.one_hot(labels, scores.shape[1])
    return {result}
'''


def _batches(seed: int) -> list[Case]:
    """Scores, labels and weights: random ones, and the edges."""
    draw = generator("03.q3", seed)

    def case(
        images: int, classes: int, note: str = "", weights: Sequence[float] | None = None, scale: float = 2
    ) -> Case:
        scores = torch.randn(images, classes, generator=draw) * scale
        labels = torch.randint(classes, (images,), generator=draw)
        drawn = torch.rand(classes, generator=draw) * 3 + 0.2
        return Case((_short(scores), labels, _short(drawn if weights is None else torch.tensor(weights))), note=note)

    edges = [
        case(1, 2, "one image"),
        case(2, 3, "all weights 1: as in the notebook", [1.0, 1.0, 1.0]),
        case(2, 2, "all weights alike", [3.0, 3.0]),
        Case((torch.tensor([[1.0, 0.0], [0.5, 2.0]]), torch.tensor([0, 1]), torch.tensor([0.0, 2.0])), note="a class of weight 0"),
        Case((torch.tensor([[1000.0, 0.0], [0.0, 1.0]]), torch.tensor([1, 1]), torch.tensor([1.0, 2.0])), note="sure and wrong"),
    ]  # fmt: skip
    return edges + [case(images, classes) for images, classes in ((2, 2), (2, 3), (3, 2), (3, 3), (4, 3), (3, 4))]


q3 = Function(
    id="03.q3",
    title="when one class is rare",
    objective=1,
    level="Build",
    minutes=12,
    prompt="""\
Suppose you have 50 images of most digits and only 5 sevens. In the mean over all images the sevens hardly count, and a \
network that never says "seven" loses little by it. A common remedy gives every class a weight, and every image counts by the \
weight of its right class:

$$L = -\\frac{\\sum_i w_{y_i} \\log p_{i,y_i}}{\\sum_i w_{y_i}}$$

Here $y_i$ is the right class of image $i$. Write the gradient of this loss with respect to the scores, by hand or from the \
parts of this notebook: `scores` are `[N, classes]`, `labels` `[N]`, `weights` `[classes]`. With all weights equal, it is the \
gradient that you know.""",
    starter='''\
def weighted_gradient(scores, labels, weights):
    """The gradient of the weighted loss with respect to the scores, [N, classes]."""
    ...
''',
    answer="weighted_gradient",
    setup="import torch\nimport torch.nn.functional as F\nfrom tlcourse.training import losses",
    reference=WEIGHTED.replace(
        "    return",
        "    # a weight belongs to an image, by its right class: it scales the whole row of what was said minus wanted\n"
        "    return",
    ).format(result="(weights[labels] / weights[labels].sum())[:, None] * (said - wanted)"),
    alternative="""\
def weighted_gradient(scores, labels, weights):
    scores = scores.clone().double().requires_grad_()
    F.cross_entropy(scores, labels, weight=weights.double()).backward()
    return scores.grad.tolist()
""",
    hints=(
        "For one image alone, the gradient is what was said minus what was wanted. In the mean over N images each counts "
        "1/N. How much does each count here?",
        "`weights[labels]` has one number an image. Divided by their sum, it says how much each image counts; "
        "`[:, None]` makes a column of it, which multiplies the rows.",
    ),
    cases=_batches,
    look_at="one row of the result at a time: it should be a share times said minus wanted",
    mistakes=(
        Mistake(
            "leaves the weights out",
            WEIGHTED.format(result="(said - wanted) / len(scores)"),
            "That is the gradient without weights: every image counts the same.",
        ),
        Mistake(
            "divides by the number of images",
            WEIGHTED.format(result="weights[labels][:, None] * (said - wanted) / len(scores)"),
            "Each image has its weight, but you divide by the number of images. Look at what stands below the fraction bar. "
            "With all weights 3, the gradient should be that of weights 1.",
        ),
        Mistake(
            "divides by the weights of the classes",
            WEIGHTED.format(result="weights[labels][:, None] * (said - wanted) / weights.sum()"),
            "You divide by the sum over the classes. The sum below the fraction bar goes over the images: a class that "
            "comes twice counts twice.",
        ),
        Mistake(
            "weighs the columns",
            WEIGHTED.format(result="weights * (said - wanted) / weights[labels].sum()"),
            "You weigh every score by its own class. The weight goes with an image, by its right class, and is the same for "
            "its whole row; so each row should still sum to 0.",
        ),
        Mistake(
            "divides twice",
            WEIGHTED.format(
                result="weights[labels][:, None] * losses.cross_entropy_gradient(scores, labels) / weights[labels].sum()"
            ),
            "You divide by the sum of the weights, but `losses.cross_entropy_gradient`, or a mean somewhere, has divided by the "
            "number of images already.",
        ),
        Mistake(
            "does not divide",
            WEIGHTED.format(result="weights[labels][:, None] * (said - wanted)"),
            "The rows have the right proportions, but the loss is a mean, and you left out what it is divided by.",
        ),
        Mistake(
            "wanted minus said",
            WEIGHTED.format(result="(weights[labels] / weights[labels].sum())[:, None] * (wanted - said)"),
            "The size is right and the sign is not. The gradient of the right class's score is negative: raising it lowers "
            "the loss.",
        ),
        Mistake(
            "a softmax that overflows",
            WEIGHTED.replace("F.softmax(scores, 1)", "scores.exp() / scores.exp().sum(1, keepdim=True)").format(
                result="(weights[labels] / weights[labels].sum())[:, None] * (said - wanted)"
            ),
            "The formula is right, but with a score of 1000 the exponential is infinite, and infinity over infinity is no "
            "number. How does `losses.log_softmax` avoid that?",
        ),
    ),
)


@functools.lru_cache(maxsize=4)
def both_worlds(seed: int) -> ImageSet:
    """Return held-out images of the target, and behind them the same ones half-way along the dial.

    Args:
        seed: which draw of patches.

    Returns:
        1,782 images with their labels.
    """
    near, far = held_out(seed), load(WORLD, split="test", shift=SHIFT, seed=FRESH + seed)
    return ImageSet(torch.cat([near.images, far.images]), torch.cat([near.labels, far.labels]), near.classes)


def unlabelled_worlds(seed: int) -> tuple[ImageSet]:
    """Return the images of `both_worlds` with all labels set to 0, to be answered inside a sandbox.

    Args:
        seed: which draw of patches.

    Returns:
        1,782 images, as a tuple of one.
    """
    images = both_worlds(seed)
    return (replace(images, labels=torch.zeros_like(images.labels), name="held-out images of two worlds"),)


def percent_of_both(report: Mapping[str, torch.Tensor], seed: int) -> float:
    """Return the mean of the accuracies on the held-out target and on the shifted one.

    Args:
        report: of a network, with `scores` float32 `[1782, classes]`.
        seed: of the held-out images.

    Returns:
        From 0 to 100.
    """
    return float((report["scores"].argmax(1) == both_worlds(seed).labels).double().mean() * 100)


def backbone_is_old(state: Mapping[str, torch.Tensor]) -> bool:
    """Say whether a state dict has the backbone's weights of the network that reads letters, untouched.

    Args:
        state: of a trained network.

    Returns:
        True when the weights of the first convolution and of the last one are those.
    """
    old = pretrained("tiny_resnet", "letters").state_dict()
    return all(n in state and torch.equal(state[n], old[n]) for n in ("stem.0.weight", "block4.conv2.weight"))


q4 = Challenge(
    id="03.q4",
    title="five labels per class, and a changed world",
    objective=4,
    minutes=25,
    points=3,
    prompt="""\
Write a training strategy of your own for five labels per class, from the parts of this notebook. The check gives your function \
50 labelled images that it draws, and asks the network that you **return** about images which this notebook does not hold: 891 of \
the target, and the same 891 half-way along the dial. The score is the mean of both accuracies. The goal is 75 %, more than a linear \
probe reaches; from there on it is up to you. Decide between ideas on the training half, not on `test` or `shifted`: what was chosen on these flatters \
itself. `probe_race.split_labelled(digits, 5, 0)` gives 50 images to learn from and all others to look at.""",
    starter='''\
def train(labelled):
    """Take 50 labelled images, return a trained network."""
    ...
''',
    answer="train",
    setup="""\
import torch
import torch.nn.functional as F
from torch.optim.lr_scheduler import OneCycleLR
import tlcourse as tl
from tlcourse.training import optimizers as descent, losses, lr_finder as rate_finder, schedules
from tlcourse.transfer import freezing as finetuning, linear_probe as probing
from tlcourse.lessons.nb03_fine_tuning.strategies import STRATEGIES
""",
    reference='''\
def train(labelled):
    """Take 50 labelled images, return a trained network."""
    network = STRATEGIES["LP-FT"].start(seed=0)
    # the best head first: then the small first corrections do not spoil the backbone
    probing.linear_probe(network, labelled)
    batches = labelled.batches(50, steps=10, transform=tl.Augment(zoom=0.2, shear=0.2, bend=0.04, light=0.4))
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.003)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, schedules.one_cycle(60))
    tl.fit(network, batches, epochs=6, optimizer=optimizer, schedule=schedule, progress=False)
    return network
''',
    alternative="""\
def train(labelled):
    network = tl.pretrained("tiny_resnet", "letters")
    tl.reset_classifier(network, 10)
    rates = finetuning.discriminative_rates(network, head=0.01, backbone=0.003)
    optimizer = torch.optim.AdamW(finetuning.parameter_groups(network, rates))
    schedule = OneCycleLR(optimizer, [group["lr"] for group in optimizer.param_groups], total_steps=60)
    network.train()
    for x, y in labelled.batches(50, steps=60, transform=tl.Augment(degrees=20, shear=0.3, light=0.5)):
        optimizer.zero_grad()
        F.cross_entropy(network(x), y).backward()
        optimizer.step()
        schedule.step()
    return network.eval()
""",
    hints=(
        'A network with a fresh head is `STRATEGIES["fine-tuned"].start(0)`. Then rates, optimiser, schedule, training, in '
        "this order, and `return`. 100 updates of 50 augmented images are the budget of the table.",
        "`torch.optim.lr_scheduler.LambdaLR` makes a schedule of PyTorch from an optimiser and `schedules.one_cycle(100)`, "
        "and `tl.fit` takes both. To get far beyond the goal, ask which variations of the images come near to what the "
        "dial does, and look at the arguments of `tl.Augment`.",
    ),
    limits=Limits(seconds=90, memory=2**31),
    inputs=few_digits(5),
    finisher="network_report",
    more=unlabelled_worlds,
    score=percent_of_both,
    goal=75,
    mistakes=(
        Mistake(
            "returns no network",
            "def train(labelled):\n"
            '    network = STRATEGIES["fine-tuned"].start(0)\n'
            "    return tl.fit(network, labelled.batches(50), epochs=1, progress=False)\n",
            "Your function does not return the network. `tl.fit` trains a network in place and returns its history; keep the "
            "network under a name, and return that.",
            is_no_network,
        ),
        Mistake(
            "keeps the old head",
            "def train(labelled):\n"
            '    network = tl.pretrained("tiny_resnet", "letters")\n'
            "    tl.fit(network, labelled.batches(50), epochs=1, progress=False)\n"
            "    return network\n",
            "Your network still has the head for 35 letters. It takes a head for the ten digits, and that before the "
            "optimiser is made.",
            keeps_the_old_head,
        ),
        Mistake(
            "hardly trained",
            'def train(labelled):\n    return STRATEGIES["fine-tuned"].start(0)\n',
            "That is hardly better than guessing. Did the training take place, over enough updates, and at a rate that is "
            "neither tiny nor far too large?",
            scores_below(25),
        ),
        Mistake(
            "leaves the backbone frozen",
            "def train(labelled):\n"
            '    network = STRATEGIES["linear probe"].start(0)\n'
            "    probing.linear_probe(network, labelled)\n"
            "    return network\n",
            "Your backbone is still that of the letters; only the head has learned. What did the table say about frozen "
            "features, above all on the shifted target?",
            lambda report, score: score is not None and score < 75 and backbone_is_old(report["state"]),
        ),
        Mistake(
            "carried nothing over",
            "def train(labelled):\n"
            '    network = STRATEGIES["scratch"].start(0)\n'
            "    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)\n"
            "    batches = labelled.batches(50, steps=50, transform=tl.Augment())\n"
            "    tl.fit(network, batches, epochs=1, optimizer=optimizer, progress=False)\n"
            "    return network\n",
            "That is about what a network from scratch reaches. Does yours begin with the letters' weights, and does it have "
            "enough updates?",
            scores_below(55),
        ),
    ),
)

EXERCISES = (q1, q2, q3, q4)

__all__ = ["EXERCISES", "backbone_is_old", "both_worlds", "percent_of_both", "q1", "q2", "q3", "q4", "quiz", "unlabelled_worlds"]  # fmt: skip
