"""One page about a classifier of photographs: what was found, how good it is, where it errs. All of it is inside."""

import base64
import html
import io
from collections.abc import Sequence
from importlib.resources import files
from string import Template

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from tlcourse.evaluation.calibration import Reliability
from tlcourse.evaluation.metrics import class_report
from tlcourse.notebook.display import as_image
from tlcourse.notebook.evaluation_figures import draw_reliability
from tlcourse.notebook.figures import COLOURS, GREY, MARKERS, plain
from tlcourse.photos.findings import FolderReport
from tlcourse.photos.model_card import GOOD_FOR, NOT_FOR
from tlcourse.photos.pipeline import TrainedPhotos
from tlcourse.photos.read import PhotoError, open_photo, printable
from tlcourse.training.checkpoint import History

PAGE = Template(files("tlcourse.photos").joinpath("report.html").read_text(encoding="utf-8"))
MOST_CLASSES = 40  # a larger matrix cannot be read; the most frequent mistakes are listed instead
MOST_FINDINGS = 300
THUMBNAIL = 320  # pixels of the longer side


def report_page(result: TrainedPhotos, folders: Sequence[FolderReport]) -> str:
    """Write the report on a classifier, and what the inspection of each folder found, as HTML with its pictures."""
    title = f"{result.name} on {result.parts.train.name}: {len(result.evaluation.classes)} classes"
    sections = [
        _summary(result),
        training_section(result.history, result.probe.validation_accuracy) if result.history else "",
        _confusion(result),
        reliability_section(result.evaluation.reliability, result.temperature),
        mistakes_section(result),
        *(findings_section(folder) for folder in folders),
        _making(result),
    ]
    return PAGE.substitute(title=html.escape(title), body="\n".join(part for part in sections if part))


def _summary(result: TrainedPhotos) -> str:
    found = result.evaluation
    accuracy = found.accuracy
    return (
        f'<p class="big"><b>{accuracy.mean:.1f} %</b> of {len(found.labels):,} test photographs are right '
        f"[95 % interval: {accuracy.low:.1f} to {accuracy.high:.1f} %].</p>"
        f"<p>The mean over the classes is {found.balanced_accuracy:.1f} %. The network learned from "
        f"{len(result.parts.train):,} photographs; {len(result.parts.validation):,} others chose what was kept (the "
        f"{html.escape(result.kept)} network) and how sure it may be. The test photographs had no part "
        "in any choice.</p>"
        f"<p><b>What it is for.</b> {GOOD_FOR}</p><p><b>What it is not for.</b> {NOT_FOR}</p>"
    )


def _confusion(result: TrainedPhotos) -> str:
    found = result.evaluation
    report = class_report(found.confusion)
    rows = [
        [name, f"{n}", f"{100 * recall:.0f}", f"{100 * precision:.0f}"]
        for name, n, recall, precision in zip(
            found.classes, report.support.tolist(), report.recall.tolist(), report.precision.tolist(), strict=True
        )
    ]
    header = ["class", "test photographs", "found (%)", "right when named (%)"]
    return "<h2>Class by class</h2>" + confusion_table(found.confusion, found.classes) + table(header, rows)


def _making(result: TrainedPhotos) -> str:
    words = result.in_words() | {f"time for {name}": f"{s:.0f} s" for name, s in result.seconds.items()}
    use = "from tlcourse.photos.classifier import load_classifier\n\n"
    use += 'load_classifier("this folder").classify("photograph.jpg")'
    return (
        f"<h2>How it was made</h2>{table(['', ''], [[name, value] for name, value in words.items()])}"
        f"<h2>Use it</h2><pre>{html.escape(use)}</pre><pre>tlcourse predict FOLDER photograph.jpg</pre>"
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; from the second column on, short numbers stand at the right."""
    numeric = [bool(rows) and all(_is_number(row[i]) for row in rows) for i in range(len(header))]
    kinds = [' class="n"' if number else "" for number in numeric]
    top = "".join(f"<th{kind}>{html.escape(cell)}</th>" for kind, cell in zip(kinds, header, strict=True))
    lines = "".join(
        "<tr>" + "".join(f"<td{kind}>{html.escape(cell)}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>"
        for row in rows
    )
    head = f"<thead><tr>{top}</tr></thead>" if any(header) else ""
    return f'<div class="wide"><table>{head}<tbody>{lines}</tbody></table></div>'


def training_section(history: History, probe: float) -> str:
    """Return the curves of a training."""
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_losses(left, history)
    draw_accuracies(right, history, probe)
    alt = describe_training(history, probe)
    return f'<h2>Training</h2><figure class="plot">{as_image(figure, alt)}</figure><p class="note">{alt}</p>'


def reliability_section(bins: Reliability, temperature: float) -> str:
    """Return accuracy against confidence, with a sentence how to read it."""
    figure = Figure(figsize=(4.4, 3.8), layout="constrained")
    alt = draw_reliability(figure.subplots(), bins, "At the fitted temperature")
    return (
        f'<h2>How sure it may be</h2><figure class="plot">{as_image(figure, alt)}</figure><p class="note">'
        f"{html.escape(alt)} Bars end on the dashed line where answers with 80 % confidence are right 8 times in 10; "
        "the number in a bar is how many photographs it holds, and pale bars hold too few to say much. Scores are "
        f"divided by a temperature of {temperature:.2f}, fitted on the validation photographs.</p>"
    )


def confusion_table(confusion: torch.Tensor, classes: Sequence[str]) -> str:
    """Return the confusion matrix (int64, rows are right classes), or where classes are very many the top mistakes."""
    if len(classes) > MOST_CLASSES:
        return table(["is", "was taken for", "how often"], frequent_mistakes(confusion, classes))
    most = max(1, int(confusion.clone().fill_diagonal_(0).max()))
    top = "".join(f'<th scope="col"><span>{html.escape(_short(name))}</span></th>' for name in classes)
    lines = "".join(
        f'<tr><th scope="row">{html.escape(_short(name))}</th>'
        + "".join(_cell(count, r == c, most) for c, count in enumerate(confusion[r].tolist()))
        + "</tr>"
        for r, name in enumerate(classes)
    )
    return (
        '<p class="note">Rows are right classes, columns answers; mistakes are shaded.</p><div class="wide">'
        f'<table class="confusion"><thead><tr><th></th>{top}</tr></thead><tbody>{lines}</tbody></table></div><br>'
    )


def frequent_mistakes(confusion: torch.Tensor, classes: Sequence[str], most: int = 30) -> list[list[str]]:
    """Return right class, answer and count of the most frequent mistakes."""
    mistakes = confusion.clone().fill_diagonal_(0)
    order = mistakes.flatten().argsort(descending=True, stable=True)[:most].tolist()
    places = [divmod(place, len(classes)) for place in order]
    return [[classes[r], classes[c], str(int(mistakes[r, c]))] for r, c in places if mistakes[r, c]]


def mistakes_section(result: TrainedPhotos, count: int = 12) -> str:
    """Return thumbnails of the wrong answers of which the classifier is surest."""
    found, photos = result.evaluation, result.parts.test
    confidence = found.logits.softmax(1).max(1)[0]
    chosen = found.mistakes(count).tolist()
    if not chosen:
        return "<h2>Surest mistakes</h2><p>There is none: all test photographs are right.</p>"
    figures = []
    for i in chosen:
        right, said = found.classes[found.labels[i]], found.classes[found.predictions[i]]
        words = f"{said} ({100 * confidence[i]:.0f} %), but it is {right}"
        name = "/".join(photos.paths[i].parts[-2:])
        figures.append(
            f"<figure>{thumbnail(photos.paths[i], words)}<figcaption>{html.escape(words)}<br>"
            f'<span class="note">{html.escape(printable(name))}</span></figcaption></figure>'
        )
    advice = "Look at each: is the photograph odd, is its label wrong, or is the class hard to see?"
    return f'<h2>Surest mistakes</h2><p>{advice}</p><div class="photos">{"".join(figures)}</div>'


def thumbnail(path: object, alt: str) -> str:
    """Return a photograph as a small picture inside the page."""
    try:
        picture = open_photo(path, at_least=THUMBNAIL)
    except PhotoError:
        return "<p>(the file is gone)</p>"
    picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC)
    data = io.BytesIO()
    picture.save(data, "jpeg", quality=80)
    return f'<img alt="{html.escape(alt)}" src="data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}">'


def findings_section(report: FolderReport) -> str:
    """Return what the inspection of a folder found, file by file."""
    rows, name = report.rows(), html.escape(printable(report.folder.name))
    summary = html.escape(str(report).split("\n", 1)[0].partition(": ")[2])
    if not rows:
        return f"<h2>The folder {name}</h2><p>{summary} Nothing looked wrong.</p>"
    counts = ", ".join(f"{count:,} {kind}" for kind, count in report.counts().items())
    shown = table(["what", "done", "file", "why"], [list(row) for row in rows[:MOST_FINDINGS]])
    more = f"<p>... and {len(rows) - MOST_FINDINGS:,} more</p>" if len(rows) > MOST_FINDINGS else ""
    return (
        f"<h2>The folder {name}</h2><p>{summary} Findings: {html.escape(counts)}.</p>"
        f"<details><summary>all findings</summary>{shown}{more}</details>"
    )


def _cell(count: int, right: bool, most: int) -> str:
    if right:
        return f'<td class="right">{count}</td>'
    if not count:
        return "<td></td>"
    return f'<td style="background: rgba(var(--wrong), {0.15 + 0.55 * count / most:.2f})">{count}</td>'


def _short(name: str, most: int = 24) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).replace(",", "").isdigit()


def draw_losses(ax: Axes, history: History) -> Axes:
    """Draw the loss of training and of validation after every epoch, and the epoch whose weights were taken."""
    epochs = range(1, len(history) + 1)
    ax.plot(epochs, history.train_loss, "--", color=GREY, linewidth=2, label="training")
    style = {"color": COLOURS["fine-tuned"], "marker": MARKERS["fine-tuned"], "linewidth": 2}
    ax.plot(epochs, history.validation_loss, label="validation", **style)
    mark_best(ax, history, history.validation_loss[history.best_epoch])
    ax.set_xlabel("epoch")
    ax.set_ylabel("loss (nats)")
    ax.set_ylim(0, 1.1 * max(history.train_loss + history.validation_loss))
    ax.set_xticks(_few(len(history)))
    ax.legend(frameon=False, loc="lower left")
    return plain(ax)


def draw_accuracies(ax: Axes, history: History, probe: float) -> Axes:
    """Draw the accuracy on validation after every epoch, beside that of the linear probe, in percent."""
    style = {"color": COLOURS["fine-tuned"], "marker": MARKERS["fine-tuned"], "linewidth": 2}
    ax.plot(range(1, len(history) + 1), history.validation_accuracy, label="fine-tuned", **style)
    ax.axhline(probe, color=COLOURS["linear probe"], linewidth=2, linestyle=":", label="linear probe")
    mark_best(ax, history, history.validation_accuracy[history.best_epoch])
    ax.set_xlabel("epoch")
    ax.set_ylabel("accuracy on validation (%)")
    ax.set_ylim(0, 103)
    ax.set_xticks(_few(len(history)))
    ax.legend(frameon=False, loc="best")
    return plain(ax)


def describe_training(history: History, probe: float) -> str:
    """Say in a sentence how a training went."""
    best = history.best_epoch
    return (
        f"Loss and accuracy over {len(history)} epochs. The validation loss is lowest after epoch {best + 1}, at "
        f"{history.validation_loss[best]:.2f} nats; {history.validation_accuracy[best]:.1f} % of the validation "
        f"photographs are then right, and {probe:.1f} % with the linear probe."
    )


def mark_best(ax: Axes, history: History, height: float) -> None:
    """Put a ring around the epoch whose weights were taken."""
    ring = {"facecolors": "none", "edgecolors": "black", "linewidths": 2, "zorder": 3}
    ax.scatter([history.best_epoch + 1], [height], s=160, label="taken", **ring)


def _few(epochs: int) -> list[int]:
    """Return at most eight epochs to write on the axis."""
    step = -(-epochs // 8)
    return list(range(1, epochs + 1, step))
