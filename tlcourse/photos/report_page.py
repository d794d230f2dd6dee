"""One page about a classifier of photographs: what was found, how good it is, where it errs. All of it is inside."""

import html
from collections.abc import Sequence

from tlcourse.evaluation.metrics import class_report
from tlcourse.photos.findings import FolderReport
from tlcourse.photos.model_card import GOOD_FOR, NOT_FOR
from tlcourse.photos.pipeline import TrainedPhotos
from tlcourse.photos.report_parts import (
    confusion_table,
    findings_section,
    mistakes_section,
    reliability_section,
    table,
    training_section,
)

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --ink: #1a1a1a; --paper: #ffffff; --line: #8886; --wrong: 213, 94, 0; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem;
  background: var(--paper); color: var(--ink); }}
h2 {{ margin-top: 2.5rem; }}
table {{ border-collapse: collapse; }}
td, th {{ text-align: left; vertical-align: top; padding: 0.2rem 0.8rem 0.2rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; }}
td.n, th.n {{ text-align: right; white-space: nowrap; }}
.wide {{ overflow-x: auto; }}
.confusion td {{ text-align: center; min-width: 1.9rem; padding: 0.25rem; border: 1px solid var(--line); }}
.confusion th {{ font-weight: normal; padding: 0.25rem 0.5rem; border: 0; white-space: nowrap; }}
.confusion thead th {{ vertical-align: bottom; }}
.confusion thead th span {{ writing-mode: vertical-rl; transform: rotate(180deg); }}
.confusion td.right {{ font-weight: bold; }}
.photos {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); gap: 1rem; }}
figure {{ margin: 0; }}
figure img {{ max-width: 100%; }}
.photos img {{ display: block; width: 100%; height: 10rem; object-fit: contain; background: #8882; }}
.note {{ font-size: 0.9rem; }}
.big {{ font-size: 1.6rem; }}
code {{ overflow-wrap: anywhere; }}
pre {{ overflow-x: auto; padding: 0.6rem; background: #8882; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #eeeeee; --paper: #1a1a1a; }}
  .plot img {{ filter: invert(0.92) hue-rotate(180deg); }}
}}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


def report_page(result: TrainedPhotos, folders: Sequence[FolderReport]) -> str:
    """Write the report on a classifier, and what the inspection of each folder found, as HTML with its pictures."""
    title = f"{result.name} on {result.parts.train.name}: {len(result.judgement.classes)} classes"
    sections = [
        _summary(result),
        training_section(result.history, result.probe.validation_accuracy) if result.history else "",
        _confusion(result),
        reliability_section(result.judgement.reliability, result.temperature),
        mistakes_section(result),
        *(findings_section(folder) for folder in folders),
        _making(result),
    ]
    return PAGE.format(title=html.escape(title), body="\n".join(part for part in sections if part))


def _summary(result: TrainedPhotos) -> str:
    found = result.judgement
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
    found = result.judgement
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
