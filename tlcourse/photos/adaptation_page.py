"""What `tlcourse adapt` shows: a table of methods, warnings, and a page with what there is to look at."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from tlcourse.evaluation.intervals import Interval
from tlcourse.notebook.display import drawn, table_as_text
from tlcourse.notebook.figures import COLOURS, GREY, plain
from tlcourse.notebook.scripts import families, writable
from tlcourse.pages.fill import fill
from tlcourse.photos.adapting import METHODS, SOURCE
from tlcourse.photos.crossing import CHOOSES, SHOWN, AdaptedPhotos
from tlcourse.photos.findings import FolderReport
from tlcourse.photos.read import printable
from tlcourse.photos.report import thumbnail_of

DOMINATES = 2.5  # times a class's share of the source; more on the target looks like a mistake, or like other shares
MOST_SHOWN = 12  # photographs whose answer changed
MOST_CLASSES = 40  # in the picture
HEADER = ("method", "source (%)", "entropy", "information", "SND", "same (%)", "classes", "largest")
NOTES = (
    "Source: right answers on photographs of the source that were held out; for CORAL and what goes on from it, "
    "after they were moved as the others were. Same: photographs of the target with the same answer as the head "
    "that was not adapted. Classes: how many are answered at all; largest: the share of the most frequent, in percent.",
    "Entropy (less it, closer to 0, is surer), information and SND are computed from the answers for the target alone; "
    "higher is better. Information is high where each answer is sure and all classes occur. A method that pushes "
    "answers that way is praised for it also where they are wrong, and where the target's classes are not of one size, "
    "right answers score lower than balanced ones.",
)


def rows_of(found: AdaptedPhotos, accuracy: Mapping[str, Interval]) -> list[list[str]]:
    """Return the table, a row a method, without its header."""
    rows = []
    for name, values in found.values.items():
        counts = found.counts(name)
        said = [f"{values[what]:.1f}" if what == "source" else f"{values[what]:.2f}" for what in SHOWN]
        shares = [f"{found.agreement(name):.1f}", f"{sum(map(bool, counts))}"]
        largest = f"{100 * max(counts) / sum(counts):.0f}"
        marked = f"{name} *" if name == found.chosen else name
        rows.append([marked, *([str(accuracy[name])] if accuracy else []), *said, *shares, largest])
    return rows


def header_of(accuracy: Mapping[str, Interval]) -> list[str]:
    """Return the titles of the columns."""
    return [HEADER[0], *(["right on target (%)"] if accuracy else []), *HEADER[1:]]


def in_lines(found: AdaptedPhotos, accuracy: Mapping[str, Interval]) -> list[str]:
    """Return what the command prints of its result."""
    return [
        table_as_text(header_of(accuracy), rows_of(found, accuracy), ""),
        *reasons(found),
        *results(found, accuracy),
    ]


def reasons(found: AdaptedPhotos) -> list[str]:
    """Say what was chosen, on what that rests, and that it may be wrong."""
    name = found.chosen
    if found.wanted != "auto":
        return [f"Taken: {name}, as the command says; nothing was chosen."]
    said = found.values[name][CHOOSES]
    return [
        f"Chosen: {name} ({METHODS[name][1]}).",
        f"It has the highest information, {said:.2f} nats, of {len(found.heads)} methods; no label of the target was "
        "read. That may be wrong: answers can be sure, balanced and false. A few dozen labels of the target, given "
        "with --labels, tell what each method is worth there.",
    ]


def results(found: AdaptedPhotos, accuracy: Mapping[str, Interval]) -> list[str]:
    """Say what the labels of the target show, where there were some; nothing was chosen by them."""
    if not accuracy:
        return []
    ours, source = accuracy[found.chosen], accuracy[SOURCE]
    best = max(accuracy, key=lambda name: accuracy[name].mean)
    said = [f"On the labels of the target, which had no part in any choice, {found.chosen} is right on {ours} %."]
    if found.chosen != SOURCE:
        helped = "helped" if ours.low > source.high else "may have helped, but the intervals overlap"
        verb = helped if ours.mean > source.mean else "did not help"
        said.append(f"Adaptation {verb}: without it, {source} %.")
    if accuracy[best].mean > ours.mean:
        said.append(
            f"{best} would have been right on {accuracy[best]} %; who takes it now has chosen by these labels, and "
            "needs others to say how good it is."
        )
    return said


def warnings(found: AdaptedPhotos) -> list[str]:
    """Say which classes hardly occur among the answers, or far oftener than in the source: the shares may differ."""
    counts, of_source = found.counts(found.chosen), _source_counts(found)
    said = []
    gone = [name for name, count in zip(found.classes, counts, strict=True) if not count]
    if gone:
        said.append(
            f"Warning: no photograph of the target is taken for {_some(gone)}. Either there is none, or the classifier "
            "does not know them there."
        )
    shares = [(n / sum(counts), m / sum(of_source)) for n, m in zip(counts, of_source, strict=True)]
    often = [name for name, (here, there) in zip(found.classes, shares, strict=True) if here > DOMINATES * there]
    if often:
        said.append(
            f"Warning: {_some(often)} is answered more than {DOMINATES:g} times as often as it is in the source. Where "
            "classes are not as frequent in the target as in the source, the methods go astray, all but the first."
        )
    return said


def _source_counts(found: AdaptedPhotos) -> list[int]:
    return [
        sum(pair) for pair in zip(*(part.counts().values() for part in (found.train, found.validation)), strict=True)
    ]


def _some(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def adaptation_page(
    found: AdaptedPhotos, folders: Sequence[FolderReport], accuracy: Mapping[str, Interval], warned: Sequence[str]
) -> str:
    """Write what was found as HTML; `accuracy` is what `measured` returned, and `warned` what was warned of."""
    used = (
        f"{len(found.train):,} of the source to learn from, {len(found.validation):,} to choose the probe's penalty "
        f"and the temperature, {len(found.target):,} of the target without labels"
    )
    return fill(
        "adaptation.html",
        folders=folders,
        found=found,
        header=header_of(accuracy),
        rows=rows_of(found, accuracy),
        notes=NOTES,
        methods={name: METHODS[name][1] for name in found.heads},
        reasons=reasons(found),
        results=results(found, accuracy),
        warned=[words.removeprefix("Warning: ") for words in warned],
        picture=drawn((8, 1.6 + 0.32 * min(len(found.classes), MOST_CLASSES)), 1, lambda ax: draw_counts(ax, found)),
        changed=_changed(found),
        made=found.in_words() | {"photographs": used},
    )


def draw_counts(ax: Axes, found: AdaptedPhotos) -> str:
    """Draw how often each class is answered on the target, with and without adaptation; return the alt text."""
    many = len(found.target)
    methods = list(dict.fromkeys([SOURCE, found.chosen]))
    shares = {name: 100 * np.array(found.counts(name)) / many for name in methods}
    source = np.array(_source_counts(found))
    shown = np.argsort(-source, kind="stable")[:MOST_CLASSES]
    shown.sort()
    places, height = np.arange(len(shown)), 0.8 / len(methods)
    for number, name in enumerate(methods):
        colour = GREY if name == SOURCE else COLOURS["fine-tuned"]
        label = "target, not adapted" if name == SOURCE else f"target, {name}"
        ax.barh(
            places + (number - (len(methods) - 1) / 2) * height, shares[name][shown], height, color=colour, label=label
        )
    ax.scatter(100 * source[shown] / source.sum(), places, marker="|", s=160, color="black", zorder=3, label="source")
    ax.set_yticks(places, [writable(printable(found.classes[c])[:24]) for c in shown], fontfamily=families())
    ax.invert_yaxis()
    ax.set_xlabel("share of the photographs (%)")
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    plain(ax).grid(visible=False, axis="y")
    widest = max(range(len(found.classes)), key=lambda c: shares[found.chosen][c])
    return (
        f"How often each class is answered on {many:,} photographs of the target, beside its share of the source. "
        f"With {found.chosen}, the most frequent answer is {found.classes[widest]}, "
        f"{shares[found.chosen][widest]:.0f} %; in the source it is {100 * source[widest] / source.sum():.0f} %."
    )


def _changed(found: AdaptedPhotos) -> list[tuple[str, str, str]]:
    """Return thumbnail, words and file name of photographs whose answer adaptation changed, the surest first."""
    head, before = found.heads[found.chosen], found.heads[SOURCE].answers
    confidence = (head.evidence.target.logits / found.temperature).softmax(1).max(1).values
    places = (head.answers != before).nonzero()[:, 0]
    places = places[confidence[places].argsort(descending=True, stable=True)][:MOST_SHOWN]
    said = []
    for i in places.tolist():
        now, old = found.classes[head.answers[i]], found.classes[before[i]]
        path = found.target.paths[i]
        said.append((thumbnail_of(path), f"{now} ({100 * confidence[i]:.0f} %), before: {old}", printable(path.name)))
    return said
