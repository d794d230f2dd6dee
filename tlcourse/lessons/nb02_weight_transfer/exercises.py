"""The exercises of notebook 02."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from tlcourse.exercises.compare import as_array
from tlcourse.exercises.exercise import Mistake
from tlcourse.exercises.held_out import few_digits, is_no_network, percent_right, scores_below, unlabelled
from tlcourse.exercises.kinds import Case, Challenge, Foresee, Function, Mend
from tlcourse.exercises.runner.process import Limits
from tlcourse.lessons.nb02_weight_transfer.quiz import quiz
from tlcourse.models.pretrained import pretrained
from tlcourse.models.variants import FOREIGN_NAMES
from tlcourse.repro import generator, seeded
from tlcourse.transfer.surgery import rename

SETUP = """\
import torch
import tlcourse as tl
from tlcourse.training.checkpoint import copy_weights
from tlcourse.lessons.nb02_weight_transfer import transfer_strategies as strategies
from tlcourse.transfer.heads import class_mean_head
from tlcourse.models.variants import TinyResNetVariant, foreign_weights
from tlcourse.transfer.surgery import adapt_input, rename, strip_prefix, transplant
from tlcourse.transfer.weights import check_still, weights_moved
key_map = {"conv1": "stem.0", "bn1": "stem.1", "fc": "head"}
key_map |= {f"layer{i}": f"block{i}" for i in (1, 2, 3, 4)}
"""

SWITCHES = """\
with tl.seeded("switches", 0):
    network = tl.TinyResNet(10)
    images, answers = torch.randn(20, 3, 32, 32), torch.arange(20) % 10

network.train()
network.stem.requires_grad_(False)
network.block1.requires_grad_(False)
network.block1.eval()
network.block2.eval()

before = copy_weights(network)
optimizer = torch.optim.SGD(network.parameters(), lr=0.1, weight_decay=0.1)
torch.nn.functional.cross_entropy(network(images), answers).backward()
optimizer.step()

moved = weights_moved(before, network.state_dict()).moved
parts = ["stem", "block1", "block2", "block3", "block4", "head"]
result = [sum(name.startswith(part) for name in moved) for part in parts]
"""


def _six(value: object) -> np.ndarray | None:
    """Read an answer as six numbers, or None if it is no such thing."""
    numbers = as_array(value)
    return numbers if numbers is not None and numbers.shape == (6,) and numbers.dtype.kind in "iuf" else None


def _says(part: int, *counts: int) -> Callable[[object], bool]:
    """Return what says whether an answer has one of these counts for a part, whatever it has for the others."""

    def matches(value: object) -> bool:
        numbers = _six(value)
        return numbers is not None and numbers[part] in counts

    return matches


q1 = Foresee(
    id="02.q1",
    title="two switches",
    objective=4,
    level="Read",
    minutes=8,
    prompt=f"""\
Somebody hands you a network and says: "part of it is frozen". Whether that is so depends on two switches, \
`requires_grad` and the mode. Here they stand in every position, and then comes one ordinary step. How many tensors of each \
part change? Find out on paper, before you run this:

```python
{SWITCHES}```

The stem holds 6 tensors: a convolution without bias, and the 5 of a batch normalisation. A block holds 18: three of each. \
The head holds 2. Every tensor that may move does.""",
    starter="foreseen = None  # [?, ?, ?, ?, ?, ?]: stem, block1, block2, block3, block4, head",
    answer="foreseen",
    setup=SETUP,
    snippet=SWITCHES,
    reference="""\
foreseen = [
    3,  # frozen, but in training mode: mean, variance and count of the one batch normalisation follow
    0,  # no gradient, so the optimiser skips the weights; evaluation mode, so the statistics stay
    9,  # evaluation mode stops no gradient: three convolutions, and scale and shift of three normalisations
    18,
    18,
    2,
]
""",
    alternative="""\
learned, measured = 3 + 3 * 2, 3 * 3  # in a block
foreseen = (measured / 3, 0, learned, learned + measured, learned + measured, 2)
""",
    why="`requires_grad` decides about what is learned, the mode about what is measured, and neither about the other. Only "
    "block1, with both switches off, stayed as it was.",
    hints=(
        "Take the two switches one after the other. Which tensors of a part does the optimiser move, and does it reach them? "
        "Which follow the images that go through, and is the part in training mode?",
        "A batch normalisation has 5 tensors: `weight` and `bias` are learned, `running_mean`, `running_var` and "
        "`num_batches_tracked` are measured. `network.train()` reaches every part; the lines below it take something back.",
    ),
    mistakes=(
        Mistake(
            "no six numbers",
            "foreseen = 50",
            "Expected a list of six numbers: how many tensors changed in the stem, in each of the blocks, and in the head.",
            lambda value: _six(value) is None,
        ),
        Mistake(
            "what has no gradient stays",
            "foreseen = [0, 0, 9, 18, 18, 2]",
            "In your answer nothing of the stem moves. Its weights have no gradient, that is right. Which of its tensors never "
            "had one, and in which mode is it?",
            _says(0, 0),
        ),
        Mistake(
            "weight decay moves what is frozen",
            "foreseen = [6, 9, 9, 18, 18, 2]",
            "In your answer the frozen weights of the stem move. Weight decay pulls at every weight that the optimiser visits: "
            "does it visit one whose gradient is `None`?",
            _says(0, 5, 6),
        ),
        Mistake(
            "forgets the counter",
            "foreseen = [2, 0, 9, 18, 18, 2]",
            "You let two measured tensors of the stem move. A batch normalisation has one more: look at its names in the state "
            "dict.",
            _says(0, 2),
        ),
        Mistake(
            "evaluation mode stops everything",
            "foreseen = [3, 0, 0, 18, 18, 2]",
            "In your answer block2 stays as it is. It is in evaluation mode, but is it frozen? The mode decides about one kind "
            "of tensors only.",
            _says(2, 0),
        ),
        Mistake(
            "evaluation mode stops nothing",
            "foreseen = [3, 9, 18, 18, 18, 2]",
            "In your answer the statistics of block1 or block2 move. Both were switched to evaluation mode after "
            "`network.train()`; what do their statistics do then?",
            lambda value: _says(1, 9)(value) or _says(2, 18)(value),
        ),
        Mistake(
            "evaluation mode stops normalisation's weights",
            "foreseen = [3, 0, 3, 18, 18, 2]",
            "In block2 you let the convolutions move and nothing else. A batch normalisation has two tensors that are learned "
            "like any weight; evaluation mode is not about them.",
            _says(2, 3),
        ),
        Mistake(
            "counts only what is learned",
            "foreseen = [3, 0, 9, 9, 9, 2]",
            "In the blocks that nobody touched you count the learned tensors only. They are in training mode, so what else "
            "moves in them?",
            _says(3, 9),
        ),
    ),
)

WATCH = '''\
def what_moved(network, x, y):
    """Take three steps, and return the names of all tensors that changed."""
    {before}
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(x), y).backward()
        optimizer.step()
    {after}
'''
COMPARED = "after = network.state_dict()\n    return [name for name in after if {differ}]"
DIFFER = COMPARED.format(differ="not torch.equal(before[name], after[name])")
LEARNED = "before = {name: weights.detach().clone() for name, weights in network.named_parameters()}"


def _watched(seed: int) -> list[Case]:
    """Small networks and a batch: in both modes, frozen or not, without batch normalisation, and with a blank batch."""
    draw = generator("02.q2", seed)

    def case(images: int, note: str = "", *, train: bool = True, frozen: bool = False, normed: bool = True) -> Case:
        with seeded("02.q2", seed, images, note):
            norm = [("norm", nn.BatchNorm1d(2))] if normed else []
            parts = [("linear", nn.Linear(2, 2, bias=False)), *norm, ("head", nn.Linear(2, 2))]
        network = nn.Sequential(OrderedDict(parts)).train(train)
        for part, _ in parts[:-1]:
            getattr(network, part).requires_grad_(not frozen)
        x = torch.randn(images, 2, generator=draw).mul(10).round() / 10
        y = torch.arange(images) % 3 % 2  # never as many of one class as of the other
        return Case((network, x, y), note=note)

    blank = case(4, "a blank batch: the first layer gets no gradient")
    blank.arguments[1].zero_()
    edges = [
        case(4, "nothing frozen, training mode"),
        case(4, "nothing frozen, evaluation mode", train=False),
        case(4, "frozen but for the head, training mode", frozen=True),
        case(4, "frozen but for the head, evaluation mode", frozen=True, train=False),
        case(4, "no batch normalisation", normed=False),
        blank,
    ]
    flags = torch.randint(2, (5, 2), generator=draw).bool().tolist()
    return edges + [case(5 + i, train=train, frozen=frozen) for i, (train, frozen) in enumerate(flags)]


def _same_names(got: object, right: list[str]) -> bool:
    """Compare names in any order and in any container, such as the dict of a report."""
    container = isinstance(got, list | tuple | set | frozenset | Mapping)
    return container and all(isinstance(name, str) for name in got) and set(got) == set(right)


q2 = Mend(
    id="02.q2",
    title="the proof that proves nothing",
    objective=4,
    minutes=6,
    prompt="""\
A team checks all its networks with this function. It takes three steps and returns the names of the tensors that changed, in \
any order. So far it has found every network to be frozen, even one that nobody had frozen. Find the fault, and mend it. The \
function shall watch the network and change nothing else about it.""",
    starter=WATCH.format(before="before = network.state_dict()", after=DIFFER),
    answer="what_moved",
    setup=SETUP,
    reference=WATCH.format(
        before="# a state dict shares its memory with the network and would move along, so take the numbers out of it\n"
        "    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}",
        after=DIFFER,
    ),
    alternative="""\
import copy

def what_moved(network, x, y):
    twin = copy.deepcopy(network)
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(twin(x), y).backward()
        optimizer.step()
    return set(weights_moved(network.state_dict(), twin.state_dict()).moved)
""",
    hints=(
        "Print `before` right after its line and once more at the end. Which of the two is what you expected?",
        "`state_dict()` returns the network's own tensors, not the numbers that were in them. The notebook has a function for "
        "what is needed, and says why; `clone` on every tensor does it too.",
    ),
    cases=_watched,
    agrees=_same_names,
    look_at="whether `before` still holds the old numbers when it is compared, and whether it holds all tensors, learned and "
    "measured",
    mistakes=(
        Mistake(
            "copies the dict, not the tensors",
            WATCH.format(before="before = dict(network.state_dict())", after=DIFFER),
            "It still finds that nothing moved. A new dict, and a copy of one, hold the same tensors as before; what is needed "
            "is a copy of the numbers in each of them.",
        ),
        Mistake(
            "watches only what is learned",
            WATCH.format(
                before=LEARNED,
                after=COMPARED.format(differ="name in before and not torch.equal(before[name], after[name])"),
            ),
            "What is learned is right. But a state dict holds more than that, and in training mode it moves too: either you do "
            "not compare it, or you have switched the mode.",
        ),
        Mistake(
            "says what may move",
            WATCH.format(
                before="before = copy_weights(network)",
                after="return [name for name, weights in network.named_parameters() if weights.requires_grad]",
            ),
            "You list what is allowed to move, and that was the claim. Compare numbers from before with numbers from after: "
            "some of these stay, and others move that are not in your list.",
        ),
        Mistake(
            "compares tensors by what they are, not by what they hold",
            WATCH.format(
                before="before = copy_weights(network)", after=COMPARED.format(differ="before[name] is not after[name]")
            ),
            "Now every tensor counts as moved: a copy is never the *same* tensor. Whether it holds the same numbers is another "
            "question.",
        ),
        Mistake(
            "switches the mode itself",
            WATCH.format(before="network.train()\n    before = copy_weights(network)", after=DIFFER),
            "Your function switches the network to training mode, and so it wakes statistics that would have stayed. It "
            "shall watch the network as it is.",
        ),
    ),
)

CHANNELS = '''\
def more_channels(weight, channels):
    """Make a first convolution take more channels, [out, channels, height, width]."""
    {body}
'''
NEW = "new = weight.mean(1, keepdim=True).expand(-1, channels - weight.shape[1], -1, -1)\n    "


def _convolutions(seed: int) -> list[Case]:
    """Weights of first convolutions, with one decimal: the edges, and random ones."""
    draw = generator("02.q3", seed)

    def case(shape: tuple[int, ...], channels: int, note: str = "") -> Case:
        weight = torch.randn(*shape, generator=draw).mul(10).round() / 10
        return Case((weight, channels), note=note)

    edges = [
        case((1, 3, 1, 1), 4, "one filter of one pixel: colour and infrared"),
        case((1, 1, 1, 2), 3, "from grey to colour"),
        case((1, 3, 1, 1), 3, "no new channel"),
        case((2, 3, 1, 1), 8, "more new channels than old ones"),
        case((1, 3, 2, 1), 4, "a filter that is not square"),
    ]
    shapes = [tuple(torch.randint(1, 4, (4,), generator=draw).tolist()) for _ in range(5)]
    more = torch.randint(1, 4, (5,), generator=draw).tolist()
    return edges + [case((o, i + 1, h, w), i + 1 + k) for (o, i, h, w), k in zip(shapes, more, strict=True)]


q3 = Function(
    id="02.q3",
    title="more than red, green and blue",
    objective=2,
    level="Build",
    minutes=10,
    prompt="""\
A satellite's camera has a fourth channel, near infrared, and some have eight. Write the function that makes a first \
convolution take more channels. `weight` is `[out, old, height, width]`, and `channels` is at least `old`. The old channels \
come first and keep their filters. Behind them, each new channel begins with the mean of the old ones. At last everything is \
multiplied by one number, so that a picture which is the same in all channels gives what it gave before.""",
    starter='''\
def more_channels(weight, channels):
    """Make a first convolution take more channels, [out, channels, height, width]."""
    ...
''',
    answer="more_channels",
    setup=SETUP,
    reference=CHANNELS.format(
        body=NEW + "# the sum over the channels is what a grey picture meets; with this factor it is the old sum\n"
        "    return torch.cat([weight, new], 1) * weight.shape[1] / channels"
    ),
    alternative="""\
def more_channels(weight, channels):
    parts = list(weight.unbind(1))  # one [out, height, width] a channel
    total = sum(parts)
    parts += [total / len(parts)] * (channels - len(parts))
    factor = total.abs().sum() / sum(parts).abs().sum()  # what it takes to get the old sum back
    return torch.stack([factor * part for part in parts], dim=1).tolist()
""",
    hints=(
        "First make the new channels: `weight.mean(1, keepdim=True)` is one of them, `[out, 1, height, width]`. Then "
        "`torch.cat` along dimension 1 puts old and new together.",
        "On a picture that is the same in all channels, only the sum over the channels counts. With 3 old channels it is three "
        "times their mean. How many times their mean is it with a fourth, and what takes that back to three?",
    ),
    cases=_convolutions,
    look_at="the sum over dimension 1, which has to be that of `weight`, and then the proportions between the channels",
    mistakes=(
        Mistake(
            "leaves the sum larger",
            CHANNELS.format(body=NEW + "return torch.cat([weight, new], 1)"),
            "The channels are right, and their sum has grown: a grey picture now gives more than before, and the next layers "
            "expect the old size.",
        ),
        Mistake(
            "divides by the new number of channels",
            CHANNELS.format(body=NEW + "return torch.cat([weight, new], 1) / channels"),
            "Now the output is too small. The sum was not 1 times the mean before, but as many times as there were channels.",
        ),
        Mistake(
            "the factor upside down",
            CHANNELS.format(body=NEW + "return torch.cat([weight, new], 1) * channels / weight.shape[1]"),
            "With every new channel your output grows twice: once by the channel, once by the factor. Should the factor be above "
            "or below 1?",
        ),
        Mistake(
            "new channels of zeros",
            CHANNELS.format(
                body="result = torch.zeros(len(weight), channels, *weight.shape[2:])\n"
                "    result[:, : weight.shape[1]] = weight\n"
                "    return result"
            ),
            "With zeros a grey picture gives what it gave before, that is true. But the network is blind in the new channels "
            "at first; asked is the mean of the old ones there.",
        ),
        Mistake(
            "repeats the first channel",
            CHANNELS.format(
                body="new = weight[:, :1].expand(-1, channels - weight.shape[1], -1, -1)\n"
                "    return torch.cat([weight, new], 1) * weight.shape[1] / channels"
            ),
            "Your new channels are copies of the first one. With another channel, or their mean, the sum over all channels comes "
            "out differently: which of them keeps it?",
        ),
        Mistake(
            "shares everything evenly",
            CHANNELS.format(
                body="return weight.mean(1, keepdim=True).expand(-1, channels, -1, -1) * weight.shape[1] / channels"
            ),
            "A grey picture gives what it gave before, but now all channels have the same filter, and the network is blind to "
            "colour. The old channels should keep theirs.",
        ),
    ),
)


def strangers_file(seed: int) -> dict[str, torch.Tensor]:
    """Return the weights of a `TinyResNet` for printed digits as a stranger might have saved them.

    Args:
        seed: in which order the classes stand in the head; negative ones belong to checks.

    Returns:
        Tensors by names such as `module.layer1.conv1.weight`; row `i` of `module.fc.weight` stands for a digit that
        nobody wrote down.
    """
    weights = pretrained("tiny_resnet", "digits").state_dict()
    order = torch.randperm(10, generator=generator("stranger", seed))
    for name in ("head.weight", "head.bias"):
        weights[name] = weights[name][order]
    return {f"module.{name}": tensor for name, tensor in rename(weights, FOREIGN_NAMES["tiny_resnet"]).items()}


def backbone_left(state: Mapping[str, torch.Tensor]) -> str:
    """Say what a state dict still has of the stranger's backbone, whatever the tensors are called in it.

    Args:
        state: of the network that a learner returned.

    Returns:
        `"all"`, `"weights"` (the statistics are others), `"moved"` (weights are others, but come from there), or
        `"nothing"`.
    """
    theirs = {n: t for n, t in pretrained("tiny_resnet", "digits").state_dict().items() if not n.startswith("head.")}
    lost = [name for name, tensor in theirs.items() if not _holds(state, tensor)]
    if not lost:
        return "all"
    if all(name.endswith(("running_mean", "running_var", "num_batches_tracked")) for name in lost):
        return "weights"
    first = theirs["stem.0.weight"].flatten()
    filters = [t.flatten().float() for t in state.values() if t.numel() == first.numel()]
    return "moved" if any(torch.cosine_similarity(f, first, 0) > 0.5 for f in filters) else "nothing"


def _holds(state: Mapping[str, torch.Tensor], tensor: torch.Tensor) -> bool:
    return any(t.shape == tensor.shape and torch.equal(t.to(tensor.dtype), tensor) for t in state.values())


def _uses_their_head(report: Any, score: float | None) -> bool:  # noqa: ANN401
    """Say whether most rows of the stranger's head are in the network's, in whatever order."""
    head = pretrained("tiny_resnet", "digits").state_dict()["head.weight"]
    rows = {str(i): row for t in report["state"].values() if t.shape == head.shape for i, row in enumerate(t)}
    return score is not None and score < q4.goal and sum(_holds(rows, row) for row in head) >= 5


def _left(what: str) -> Callable[..., bool]:
    """Return what says whether exactly so much of the stranger's backbone is left."""
    return lambda report, score: "state" in report and backbone_left(report["state"]) == what


LEARN = """\
def learn(weights, five):
    network = tl.TinyResNet(10)
    {load}
    {head}
    return network
"""
FITTED = "tl.load_weights(network, rename(strip_prefix(weights), key_map))"
MEANS = "class_mean_head(network.head, tl.extract_features(network, five), five.labels, 0.1)"
TWENTY = """\
optimizer = torch.optim.SGD(tl.trainable(network), lr=0.01)
    x, y = tl.scale(five.images), five.labels
    strategies.take_steps(network, x, y, optimizer, 20, plain_train=True)"""

q4 = Challenge(
    id="02.q4",
    title="a stranger's file",
    objective=3,
    minutes=20,
    points=3,
    prompt="""\
A stranger sends a file: a `TinyResNet` for ten *printed* digits. Its names are those of `foreign`, wrapper included. Which row of \
its head stands for which digit, nobody wrote down. And other people have put heads of their own on the same backbone, so **not \
one tensor of it may move**, weights and statistics alike.

Write `learn(weights, five)`. It gets the state dict and five labelled images per class, and **returns** a network that reads our \
handwritten digits, with scores in the order 0 to 9. The check draws the order in the file and the images, compares every tensor of \
the backbone, and scores the network on 891 images that this notebook does not hold. The stranger's own head, put in order, reads \
about 72 %. The goal is 75 %; from there on it is up to you. To practise, `ex.strangers_file(1)` gives you such a file in a cell of \
your own. Measure ideas on images of `digits` that you did not learn from, and keep `test` for the end.""",
    starter='''\
def learn(weights, five):
    """Take a stranger's weights and 50 labelled images, return a network."""
    ...
''',
    answer="learn",
    setup=SETUP,
    reference='''\
def learn(weights, five):
    """Take a stranger's weights and 50 labelled images, return a network."""
    network = tl.TinyResNet(10)
    tl.load_weights(network, rename(strip_prefix(weights), key_map))
    # nobody has to know their order: a head of class means is made of our images, in our order, and nothing is trained
    class_mean_head(network.head, tl.extract_features(network, five), five.labels)
    return network
''',
    alternative="""\
def learn(weights, five):
    network, ours = tl.build("tiny_resnet", 10), {}
    for name, tensor in weights.items():
        part, rest = name.removeprefix("module.").split(".", 1)
        ours[f"{key_map[part]}.{rest}"] = tensor
    network.load_state_dict(ours)
    tl.reset_classifier(network, 10)
    tl.freeze(network)
    optimizer = torch.optim.AdamW(tl.trainable(network), lr=0.01)
    tl.fit(network, five.batches(50, steps=50, transform=tl.Augment()), epochs=1, optimizer=optimizer, progress=False)
    return network
""",
    hints=(
        "Three parts: make the names fit and load everything, give the network a head for our order, return the network. All "
        "three stand in the notebook, under *By hand*.",
        "`rename`, `strip_prefix` and `key_map` make the file fit. A head that is computed from labelled features needs neither "
        "their order nor a step of training. To get further, train the head: `tl.freeze` keeps the backbone still, statistics "
        "included, and `tl.fit` respects it.",
    ),
    limits=Limits(seconds=90, memory=2**31),
    inputs=lambda seed: (strangers_file(-1 - seed), *few_digits(5)(seed)),
    finisher="network_report",
    more=unlabelled,
    score=percent_right,
    goal=75,
    mistakes=(
        Mistake(
            "returns no network",
            "def learn(weights, five):\n    return tl.load_weights(tl.TinyResNet(10), rename(strip_prefix(weights), key_map))\n",
            "What your function returns is no network that takes our images. `load_weights` and the functions that make a head "
            "change a network in place and return something else; keep the network under a name, and return that.",
            is_no_network,
        ),
        Mistake(
            "nothing arrived",
            LEARN.format(load="network.load_state_dict(weights, strict=False)", head=MEANS),
            "Your network has nothing of the file in it: its first filters are others. How many names did the load report as "
            "unexpected?",
            _left("nothing"),
        ),
        Mistake(
            "statistics that moved or stayed behind",
            LEARN.format(load=FITTED, head="network.requires_grad_(False).head.requires_grad_()\n    " + TWENTY),
            "Every weight of the backbone is the file's, but the statistics of its batch normalisation are not. Either they were "
            "left behind when you loaded, or they followed your images: in which mode was the network?",
            _left("weights"),
        ),
        Mistake(
            "trains the backbone",
            LEARN.format(load=FITTED, head=MEANS + "\n    " + TWENTY),
            "The backbone has learned with the head. It may read your digits better now, but other heads stand on it, and they "
            "were made for what it was.",
            _left("moved"),
        ),
        Mistake(
            "believes in their order",
            LEARN.format(load=FITTED, head="network.eval()"),
            "The backbone arrived whole, and yet that is not much better than guessing. Either the head is still random, or its "
            "scores do not stand in the order of the digits, which only your labelled images know.",
            scores_below(40),
        ),
        Mistake(
            "puts their head in order",
            LEARN.format(
                load=FITTED,
                head="scores = tl.predict(network, five)\n"
                "    rows = torch.stack([scores[five.labels == c].mean(0) for c in range(10)]).argmax(1)\n"
                "    network.head.weight.data = network.head.weight.data[rows]\n"
                "    network.head.bias.data = network.head.bias.data[rows]",
            ),
            "You found an order for their rows, well done, but their head was made for print. You have fifty images of "
            "handwriting: what head can you compute from them?",
            _uses_their_head,
        ),
    ),
)

EXERCISES = (q1, q2, q3, q4)

__all__ = ["EXERCISES", "backbone_left", "q1", "q2", "q3", "q4", "quiz", "strangers_file"]
