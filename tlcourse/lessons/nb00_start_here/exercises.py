"""The exercises of notebook 00."""

import torch

from tlcourse.exercises.exercise import Mistake
from tlcourse.exercises.held_out import (
    few_digits,
    is_no_network,
    keeps_the_old_head,
    percent_right,
    scores_below,
    unlabelled,
)
from tlcourse.exercises.kinds import Case, Challenge, Function, Mend, Value
from tlcourse.exercises.runner.process import Limits
from tlcourse.lessons.nb00_start_here.quiz import quiz
from tlcourse.repro import generator

SHIPPED = """\
import tlcourse as tl
from tlcourse.lessons import experiments
shipped = experiments.read_trials()
"""

q1 = Value(
    id="00.q1",
    title="where two ways part",
    objective=3,
    level="Read",
    minutes=6,
    prompt="""\
Fine-tuning trains about 240 times as many weights as a linear probe. Is it better everywhere? The shipped runs hold \
1, 2, 5, 10, 20 and 50 labels per class. For each of these numbers, compare the two in pairs, as you compared fine-tuning \
with scratch. Then list the numbers at which the interval of the difference still contains 0: there, these runs cannot \
say which of the two is better.""",
    starter="undecided = None  # a list of numbers of labels, such as [20, 50]",
    answer="undecided",
    setup=SHIPPED,
    reference="""\
undecided = []
for labels in (1, 2, 5, 10, 20, 50):
    # the same seed drew the same images for both, so the difference is taken seed by seed
    fine_tuned = experiments.scores(shipped, "fine-tuned", labels)
    probe = experiments.scores(shipped, "linear probe", labels)
    gain = tl.paired_difference(fine_tuned, probe)
    if gain.low <= 0 <= gain.high:
        undecided.append(labels)
""",
    alternative="""\
pairs = {n: [experiments.scores(shipped, s, n) for s in ("fine-tuned", "linear probe")] for n in (1, 2, 5, 10, 20, 50)}
intervals = {n: tl.paired_difference(*both) for n, both in pairs.items()}
undecided = tuple(n for n, i in intervals.items() if i.low < 0 < i.high)
""",
    hints=(
        "One number of labels is one call: `tl.paired_difference` takes the scores of one way and of the other, and "
        '`experiments.scores(shipped, "linear probe", 1)` gives those of the probe with 1 label.',
        "An interval has a `low` and a `high`. It contains 0 when one is below and the other above. Six intervals, six "
        "answers of yes or no.",
    ),
    mistakes=(
        Mistake(
            "took the overlap of the bands in the curve",
            "undecided = [1, 2]",
            "Two bands can overlap although every single seed prefers the same way: the luck of the images moves both "
            "up and down together. Take the difference seed by seed, and look at the interval of that.",
        ),
        Mistake(
            "listed where there is a difference",
            "undecided = [2, 5, 10, 20, 50]",
            "These are the numbers where the interval lies on one side of 0, so there the two can be told apart. The "
            "question asks for the others.",
        ),
        Mistake(
            "thought more weights always win",
            "undecided = []",
            "An empty list says that fine-tuning and the probe differ at every number of labels. Look at the interval "
            "with the fewest labels again: on which side of 0 is its lower end?",
        ),
    ),
)


def _curves(seed: int) -> list[Case]:
    """Random curves, some not rising everywhere, some in no order, and the edges."""
    draw = generator("00.q2", seed)
    cases = [
        Case(({5: 80.0}, 80.0), note="reached exactly"),
        Case(({1: 40.0, 2: 50.0}, 90.0), note="never reached"),
        Case(({20: 90.0, 5: 85.0, 1: 30.0}, 80.0), note="in no order"),
        Case(({1: 60.0, 2: 82.0, 5: 78.0, 10: 88.0}, 80.0), note="falls in between"),
    ]
    for _ in range(6):
        labels = [(1, 2, 5, 10, 20, 50)[i] for i in torch.randperm(6, generator=draw)[:4].tolist()]
        scores = (torch.rand(4, generator=draw) * 60 + 40).round().tolist()
        cases.append(Case((dict(zip(labels, scores, strict=True)), 75.0)))
    return cases


q2 = Function(
    id="00.q2",
    title="how many labels is that worth?",
    objective=4,
    level="Build",
    minutes=8,
    prompt="""\
"Fine-tuning with 5 labels is as good as scratch with 20": such a sentence is worth more to the person who pays for the \
labels than a number of points. Write the function that it needs. `curve` maps labels per class to accuracy in percent, as \
in `{1: 48.0, 5: 88.6}`, in any order. Return the smallest number of labels that reaches `goal` percent or more, and \
`None` if none does.""",
    starter='''\
def labels_needed(curve, goal):
    """The smallest number of labels with an accuracy of at least goal, or None."""
    ...
''',
    answer="labels_needed",
    reference='''\
def labels_needed(curve, goal):
    """The smallest number of labels with an accuracy of at least goal, or None."""
    # min over all that reach it, not the first one met: a dict keeps the order in which it was written
    return min((labels for labels, accuracy in curve.items() if accuracy >= goal), default=None)
''',
    alternative="""\
def labels_needed(curve, goal):
    for labels in sorted(curve):
        if not curve[labels] < goal:
            return labels
    return None
""",
    hints=(
        "Go through the numbers of labels from the smallest to the largest, and stop at the first that is good enough.",
        "`sorted(curve)` gives the numbers of labels in order; `curve[labels]` is the accuracy there. A function that ends "
        "without `return` returns None.",
    ),
    cases=_curves,
    look_at="which numbers of labels reach the goal, and which of them is the smallest",
    mistakes=(
        Mistake(
            "above instead of at least",
            "def labels_needed(curve, goal):\n"
            "    return min((n for n, a in curve.items() if a > goal), default=None)\n",
            "An accuracy that is exactly the goal has reached it.",
        ),
        Mistake(
            "first met instead of smallest",
            "def labels_needed(curve, goal):\n    return next((n for n, a in curve.items() if a >= goal), None)\n",
            "You return the first number in the dict that is good enough, but a dict keeps the order in which it was "
            "written, and that need not be the order of size.",
        ),
        Mistake(
            "accuracy instead of labels",
            "def labels_needed(curve, goal):\n    return min((a for a in curve.values() if a >= goal), default=None)\n",
            "You return the accuracy that was reached; asked is at how many labels it is reached.",
        ),
        Mistake(
            "nearest to the goal",
            "def labels_needed(curve, goal):\n"
            "    return min((n for n in curve if curve[n] >= goal), key=lambda n: curve[n] - goal, default=None)\n",
            "You return the number of labels whose accuracy is nearest above the goal. A curve that rises and falls may "
            "reach it earlier, with more to spare.",
        ),
    ),
)

CARRY_OVER = '''\
def carry_over(source, target):
    """Start the target with all weights of the source that fit."""
    start = {{}}
    for name, weights in target.items():
        fits = name in source and {condition}
        start[name] = source[name] if fits else weights
    return start
'''


def _state_dicts(seed: int) -> list[Case]:
    """Small state dicts: same head, another head, a turned matrix, BatchNorm statistics, foreign names, other order."""
    draw = generator("00.q3", seed)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draw)

    return [
        Case(({"a": random(2)}, {"a": random(2)}), note="everything fits"),
        Case(({"head.weight": random(3, 2)}, {"head.weight": random(2, 3)}), note="another head, as many numbers"),
        Case(({"head.bias": random(3)}, {"head.bias": random(2)}), note="another number of classes"),
        Case(({"conv": random(2, 3)}, {"conv": random(2, 1)}), note="other input channels"),
        Case(({"scale": random(2)}, {"scale": random(2, 1, 1)}), note="another number of dimensions"),
        Case(
            ({"bn.num_batches_tracked": torch.tensor(7)}, {"bn.num_batches_tracked": torch.tensor(0)}), note="a counter"
        ),
        Case(({"b": random(2), "a": random(2)}, {"a": random(2), "b": random(2)}), note="in another order"),
        Case(
            (
                {"bn.weight": random(2), "bn.running_mean": random(2), "extra": random(1)},
                {"bn.weight": random(2), "bn.running_mean": random(2), "new": random(1)},
            ),
            note="statistics, and names of one side only",
        ),
    ]


q3 = Mend(
    id="00.q3",
    title="what fits?",
    objective=1,
    minutes=6,
    prompt="""\
This function carries weights over by hand, from one state dict to another. It was used for months. Then a network with \
another head came, and the transfer spoilt it without an error. Find the fault, and mend it.""",
    starter=CARRY_OVER.format(condition="source[name].numel() == weights.numel()"),
    answer="carry_over",
    setup="import torch",
    reference=CARRY_OVER.format(
        condition="source[name].shape == weights.shape  # as many numbers is not enough: [3, 2] is not [2, 3]"
    ),
    alternative="""\
def carry_over(source, target):
    fitting = {n: w for n, w in source.items() if n in target and target[n].size() == w.size()}
    return {**target, **fitting}
""",
    hints=(
        "Run it in your head on a head for 3 classes of 2 features and one for 2 classes of 3 features. What does `numel` "
        "say of each?",
        "A matrix has as many numbers as its transpose, and means something else. What else do two tensors have to share?",
    ),
    cases=_state_dicts,
    look_at="the shapes on both sides",
    mistakes=(
        Mistake(
            "names only",
            CARRY_OVER.format(condition="True"),
            "Now everything with the same name is carried over, whatever its shape. A head for other classes has the "
            "same name and does not fit.",
        ),
        Mistake(
            "leaves the statistics behind",
            CARRY_OVER.format(condition='source[name].shape == weights.shape and "running" not in name'),
            "The running averages of batch normalisation were measured on the source and belong to its weights: leave "
            "them behind, and the carried-over layers see numbers of another size.",
        ),
        Mistake(
            "leaves every head behind",
            CARRY_OVER.format(condition='source[name].shape == weights.shape and not name.startswith(("head", "a"))'),
            "You leave layers behind by their name. What fits is told by name and shape together, for the head as for "
            "all others.",
        ),
    ),
)


q4 = Challenge(
    id="00.q4",
    title="five labels per class",
    objective=2,
    minutes=15,
    points=2,
    prompt="""\
Write a recipe that turns five labelled images per class into a network that reads digits: take the pretrained network, \
give it a new head, train it, and **return it**. The check gives your function 50 images that it draws, and scores the \
network on 891 that this notebook does not hold: new handwriting on new pieces of the photograph. The goal is 76 %, about what a linear probe reaches, and fine-tuning goes well beyond it; your \
best runs are kept.""",
    starter='''\
def learn(five):
    """Take 50 labelled images, return a trained network."""
    ...
''',
    answer="learn",
    setup="import torch\nimport tlcourse as tl\nfrom tlcourse.lessons import experiments",
    reference='''\
def learn(five):
    """Take 50 labelled images, return a trained network."""
    network = tl.pretrained("tiny_resnet", "letters")
    tl.reset_classifier(network, 10)  # the old one has 35 classes, and none of them is a digit
    experiments.train_on_target(network, five, seed=0)  # everything may move: with 5 labels that beats the probe
    return network
''',
    alternative="""\
def learn(five):
    network = tl.build("tiny_resnet", 10)
    tl.load_weights(network, tl.pretrained("tiny_resnet", "letters").state_dict(), skip=["head"])
    batches = five.batches(50, steps=10, transform=tl.Augment())
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.003)
    tl.fit(network, batches, epochs=10, optimizer=optimizer)
    return network
""",
    hints=(
        "Four lines: a network with weights, another head, a training, and `return`. Two functions of `tl` and one of "
        "`experiments` do it.",
        "`tl.pretrained` gives the network, `tl.reset_classifier` changes it in place, `experiments.train_on_target` trains it "
        "in place and wants a `seed`, such as 0. The functions that change it return something else than the network.",
    ),
    limits=Limits(seconds=90, memory=2**31),
    inputs=few_digits(5),
    finisher="network_report",
    more=unlabelled,
    score=percent_right,
    goal=76,
    mistakes=(
        Mistake(
            "returns no network",
            "def learn(five):\n"
            '    network = tl.pretrained("tiny_resnet", "letters")\n'
            "    return tl.reset_classifier(network, 10)\n",
            "Your function does not return the network. The functions of the course change a network in place and return "
            "something else, or nothing; keep it under a name, and return that.",
            is_no_network,
        ),
        Mistake(
            "keeps the old head",
            'def learn(five):\n    return tl.pretrained("tiny_resnet", "letters")\n',
            "Your network still answers with letters: it has 35 scores for an image, and 10 are needed.",
            keeps_the_old_head,
        ),
        Mistake(
            "never trained",
            "def learn(five):\n"
            '    network = tl.pretrained("tiny_resnet", "letters")\n'
            "    tl.reset_classifier(network, 10)\n"
            "    return network\n",
            "That is hardly better than guessing: the new head is still random. What has to happen after it is put in?",
            scores_below(30),
        ),
        Mistake(
            "carried nothing over",
            "def learn(five):\n"
            '    network = tl.build("tiny_resnet", 10)\n'
            "    experiments.train_on_target(network, five, seed=0)\n"
            "    return network\n",
            "That is about what the same network reaches from scratch. Does yours begin with the letters' weights?",
            scores_below(66),
        ),
    ),
)

EXERCISES = (q1, q2, q3, q4)

__all__ = ["EXERCISES", "q1", "q2", "q3", "q4", "quiz"]
