"""Pictures of sureness, strange inputs, promises, attacks and backgrounds, each with the sentence that says it."""

import matplotlib.pyplot as plt
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import predict
from tlcourse.lessons.nb11_robustness.attacks import FGSM, ITSELF, NOISE, PGD, RELATIVE, SOURCE, STRANGER
from tlcourse.lessons.nb11_robustness.conditions import SHIFT, pool_under
from tlcourse.lessons.nb11_robustness.networks import FINE_TUNED, PROBE
from tlcourse.lessons.nb11_robustness.selective_answers import PROMISES, PROVEN, SEEN
from tlcourse.lessons.nb11_robustness.spurious import NEW_HEAD, REPEATED, on_scenes
from tlcourse.lessons.nb11_robustness.strange_inputs import STRANGE, strange_images
from tlcourse.notebook.figures import (
    COLOURS,
    GREY,
    MARKERS,
    PALETTE,
    RIGHT,
    WRONG,
    dots,
    draw_images,
    lines,
    styles_of,
)

Shown = tuple[Figure, str]  # a figure and its alt text
BLUE, ORANGE, GREEN, PINK, YELLOW, SKY = PALETTE
BESIDE = {"frameon": False, "loc": "upper left", "bbox_to_anchor": (1, 1)}  # a legend beside the picture
DIAL = "shift, the position of the dial"
ERROR = "calibration error (points)"
AREA = "area under the ROC curve (%; 50 is chance)"
TEMPERATURES = {"error": "as it is", "clean": "temperature, clean", "corrupted": "temperature, corrupted"}


def by_temperature(rows: pd.DataFrame) -> pd.DataFrame:
    """Turn rows of `sureness` into one for each temperature: the columns `temperature` and `points`."""
    long = rows.melt(["way", "seed", "kind", "level"], list(TEMPERATURES), "temperature", "points")
    return long.assign(temperature=long["temperature"].map(TEMPERATURES))


def sureness_figure(rows: pd.DataFrame, way: str = FINE_TUNED) -> Shown:
    """Draw calibration errors along the dial: left those of a way with three temperatures, right those of all ways."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", sharey=True)
    dial = rows[rows["kind"] == SHIFT].rename(columns={"level": DIAL, "error": ERROR})
    mine = by_temperature(rows[(rows["kind"] == SHIFT) & (rows["way"] == way)])
    said = lines(left, mine.rename(columns={"level": DIAL, "points": ERROR}), DIAL, ERROR, "temperature")
    chance = dial[dial["way"] == way].groupby(DIAL)["chance"].mean()
    left.plot(chance.index, chance, color=GREY, linestyle=":", label="by chance alone")
    left.legend(frameon=False)
    left.set(title=way)
    drawn = lines(right, dial, DIAL, ERROR, "way")
    right.set(title="as they are", ylim=(0, None))
    return figure, f"{way}. {said} By chance alone {chance.min():.1f} to {chance.max():.1f}. All ways. {drawn}"


def corrupted_figure(rows: pd.DataFrame, way: str = FINE_TUNED) -> Shown:
    """Draw the calibration error of a way under every corruption, with three temperatures."""
    figure, ax = plt.subplots(figsize=(8.5, 4), layout="constrained")
    mine = by_temperature(rows[(rows["kind"] != SHIFT) & (rows["way"] == way)])
    said = dots(ax, mine.rename(columns={"points": ERROR}), ERROR, "kind", "temperature")
    ax.set(title=f"{way}, severity {rows.loc[rows['kind'] != SHIFT, 'level'].max():g}", xlim=(0, None))
    ax.legend(**BESIDE)
    return figure, said


def strange_examples_figure(columns: int = 8) -> Shown:
    """Draw images of the test pool and of each strange kind, a row each."""
    figure, axes = plt.subplots(1 + len(STRANGE), 1, figsize=(8, 5.5), layout="constrained")
    shown = {"digits": pool_under()} | {kind: strange_images(kind) for kind in STRANGE}
    for ax, (name, data) in zip(axes, shown.items(), strict=True):
        draw_images(ax, data.images[:columns], columns)
        ax.set_title(name, fontsize=10, loc="left")
    return (
        figure,
        f"A row of handwritten digits over a photograph, and a row of each: {', '.join(STRANGE)}.",
    )


def strange_figure(rows: pd.DataFrame) -> Shown:
    """Draw how well every score tells strange images from digits, for a probe and for fine-tuned networks."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained", sharex=True, sharey=True)
    named, said = rows.rename(columns={"auroc": AREA}), []
    styles = styles_of(list(rows["score"].drop_duplicates()))
    for ax, start in zip(axes, (PROBE, FINE_TUNED), strict=True):
        drawn = dots(ax, named[named["start"] == start], AREA, "strange", "score", order=list(STRANGE), styles=styles)
        ax.axvline(50, color=GREY, linestyle=":")
        ax.set(title=start)
        said.append(f"{start}: {drawn}")
    axes[0].get_legend().remove()
    axes[1].legend(**BESIDE)
    return figure, " ".join(said)


def promise_figure(rows: pd.DataFrame, start: str = FINE_TUNED, promise: float = PROMISES[0]) -> Shown:
    """Draw along the dial what is answered under either rule, and how much of it is right."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained", sharey=True)
    mine = rows[(rows["start"] == start) & (rows["promise"] == promise)]
    dial = mine[mine["kind"] == SHIFT].rename(columns={"level": DIAL})
    styles = {PROVEN: {"color": BLUE, "marker": "o"}, SEEN: {"color": ORANGE, "marker": "s"}}
    said = lines(left, dial, DIAL, "answered", "rule", styles=styles)
    left.set(ylabel="answered (%)", title=start, ylim=(0, 101))
    given = dial.dropna(subset=["right"])  # some seeds may promise nothing, and then answer nothing
    given = given[given.groupby(["rule", DIAL])["right"].transform("size") > 1]
    drawn = lines(right, given, DIAL, "right", "rule", styles=styles)
    right.axhline(promise, color=GREY, linestyle=":")
    right.set(ylabel="of these right (%)", title=f"{promise:g} % were promised")
    return figure, f"{said} {drawn}"


def attacks_figure(rows: pd.DataFrame) -> Shown:
    """Draw accuracy against the size of attacks: left on the network itself, right on others, in its place."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", sharey=True)
    mine = rows[rows["made_on"] == ITSELF]
    styles = {NOISE: {"color": GREY, "marker": "o"}, FGSM: {"color": ORANGE, "marker": "s"}}
    styles |= {PGD: {"color": BLUE, "marker": "D"}}
    size = "change of every pixel (levels of 255)"
    said = lines(left, mine.rename(columns={"levels": size}), size, by="method", styles=styles)
    left.set(title="computed on the network itself", ylim=(0, 101))
    looks = zip((ITSELF, RELATIVE, SOURCE, STRANGER), (BLUE, PINK, GREEN, ORANGE), ("D", "o", "^", "s"), strict=True)
    drawn = {name: {"color": colour, "marker": marker} for name, colour, marker in looks}
    others = rows[rows["method"] == PGD].rename(columns={"levels": size})
    told = lines(right, others, size, by="made_on", styles=drawn)
    right.set(title=f"computed by {PGD} on")
    return figure, f"{said} {told}"


def attacked_images_figure(model: nn.Module, before: ImageSet, after: ImageSet) -> Shown:
    """Draw images, what an attack changed in them, and the attacked ones, each over the network's answer."""
    change = after.images.int() - before.images.int()
    most = max(1, int(change.abs().max()))
    shown = (127.5 + 127 * change / most).round().to(torch.uint8)  # grey where nothing changed
    figure, axes = plt.subplots(3, 1, figsize=(1.0 * len(before), 4.2), layout="constrained")
    read = []
    for ax, data in ((axes[0], before), (axes[2], after)):
        answers = predict(model, data).argmax(1)
        colours = [RIGHT if right else WRONG for right in (answers == data.labels).tolist()]
        read.append([data.classes[answer] for answer in answers.tolist()])
        draw_images(ax, data.images, len(data), read[-1], colours)
    draw_images(axes[1], shown, len(before))
    axes[1].set_title(f"the change, at most {most} of 255 grey levels, enlarged", fontsize=10, loc="left")
    first, last = (", ".join(each) for each in read)
    said = f"{len(before)} digits, read as {first}; after changes of at most {most} grey levels read as {last}."
    return figure, said


def scenes_figure(columns: int = 10) -> Shown:
    """Draw digits where their class belongs, and the same digits with the scenes swapped."""
    some = load("handwritten", split="test").subset(torch.arange(columns))
    figure, axes = plt.subplots(2, 1, figsize=(9, 2.6), layout="constrained")
    for ax, share, title in zip(axes, (1.0, 0.0), ("as in the training images", "swapped"), strict=True):
        draw_images(ax, on_scenes(some, share, "test").images, columns)
        ax.set_title(title, fontsize=10, loc="left")
    return figure, "Digits 0 to 4 on petals and 5 to 9 on leaves; below, the same digits with the scenes swapped."


def scenes_accuracy_figure(rows: pd.DataFrame) -> Shown:
    """Draw the accuracy on either scene for every way to learn and every share of images that give themselves away."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained", sharey=True, sharex=True)
    share = [f"{100 * value:.0f} % on their scene" for value in rows["share"]]
    named, said = rows.assign(share=share), []
    known = {name: {"color": COLOURS[name], "marker": MARKERS[name]} for name in (PROBE, FINE_TUNED)}
    styles = known | {REPEATED: {"color": GREEN, "marker": "D"}, NEW_HEAD: {"color": PINK, "marker": "v"}}
    for ax, value, title in zip(
        axes, ("right_scene", "swapped"), ("on the scene of their class", "swapped"), strict=True
    ):
        shown = named.rename(columns={value: "accuracy"} if value != "accuracy" else {})
        said.append(f"{title}: {dots(ax, shown, 'accuracy', 'share', 'way', styles=styles)}")
        ax.set(title=title)
        ax.get_legend().remove()
    axes[1].legend(**BESIDE)
    return figure, " ".join(said)
