"""The command `tlcourse adapt`: from labelled photographs to a classifier for others, without labels of those."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from tlcourse.photos.adaptation_page import adaptation_page, in_lines, warnings
from tlcourse.photos.adapting import METHODS, check_method
from tlcourse.photos.classifier import FILES, REPORT
from tlcourse.photos.crossing import PREDICTIONS, adapt_photos, measured
from tlcourse.photos.findings import FolderReport
from tlcourse.photos.inspection import inspect
from tlcourse.photos.near_duplicates import NEAR, nearest
from tlcourse.photos.options import add_network, add_shared, check_apart, check_outside, nothing_written, try_network
from tlcourse.photos.read import printable
from tlcourse.photos.scan import scan, scan_unlabelled
from tlcourse.photos.splits import thumbnails
from tlcourse.photos.whole_folder import check_target
from tlcourse.repro import pick_device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("source", type=Path, help="labelled photographs, one subfolder for every class")
    parser.add_argument("target", type=Path, help="photographs of the same classes; its subfolders are not read")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where all results shall be saved")
    add_network(parser)
    parser.add_argument(
        "--method",
        default="auto",
        metavar="NAME",
        help=f"{', '.join(METHODS)}; auto runs all, and chooses without labels of the target (default: %(default)s)",
    )
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", help="a table of the target's labels, to measure with at the very end"
    )
    add_shared(parser)


@nothing_written()
def run(options: argparse.Namespace) -> int:
    """Inspect, adapt, choose, predict, save."""
    methods, out = _check(options), check_target(options.out, (*FILES, PREDICTIONS))
    column = options.label_column if options.csv or not options.labels else None  # else it is that of the labels
    known = scan(options.source, options.csv, column)
    asked = scan_unlabelled(options.target, options.labels)
    print(f"{asked.ignored()}; every photograph will be taken for one of the source's classes, whatever it shows.")
    labels = _labels(options, known.classes)
    folders = [inspect(known, at_least=2), inspect(asked, at_least=1)]
    print(*folders, sep="\n")
    alike = in_both(*folders)
    found = adapt_photos(
        folders[0].photos,
        folders[1].photos,
        methods,
        options.backbone,
        options.weights,
        wanted=options.method,
        side=options.side,
        seed=options.seed,
        device=options.device,
        tell=print,
    )
    copies = {f.path: f.partner for f in folders[1].which("copy")}
    predictions = found.predictions(copies, options.target)  # from here on, nothing depends on a label
    accuracy = measured(found, labels)
    said = [*alike, *warnings(found)]
    print(*in_lines(found, accuracy), *said, sep="\n")
    report = adaptation_page(found, folders, accuracy, said)
    found.save(out, report, predictions, accuracy.get(found.chosen))
    print(f"saved in {out}: {PREDICTIONS}, {REPORT}, and a classifier to ask: tlcourse predict {out} IMAGE")
    return 0


def _check(options: argparse.Namespace) -> list[str]:
    """Try what the long work will need; return the methods to run."""
    methods = check_method(options.method)
    pick_device(options.device)
    check_apart("SOURCE and TARGET", options.source, options.target)
    for folder in (options.source, options.target):
        check_outside(options.out, folder)
    try_network(options.backbone, options.weights, options.side, "--weights FILE")
    return methods


def _labels(options: argparse.Namespace, classes: tuple[str, ...]) -> Mapping[Path, str]:
    """Read the table of labels for the measurement, and say what in it is of no use; empty where there is none."""
    if options.labels is None:
        return {}
    table = scan(options.target, options.labels, options.label_column)
    unknown = sorted(set(table.classes) - set(classes))
    if unknown:
        raise ValueError(
            f"{printable(options.labels)} has the classes {', '.join(map(repr, unknown[:5]))}, which the source lacks. "
            f"Expected only: {', '.join(map(repr, classes[:10]))}. Correct them, or take these rows out."
        )
    print(*(f"  {note}" for note in table.notes), sep="\n")
    for finding in [f for f in table.findings if f.kind in ("missing file", "outside the folder", "two classes")][:5]:
        print(f"  not measured: {finding.why}")
    print(f"  {len(table):,} files of the target have a label: for a measurement at the end, and for nothing else.")
    return {table.path(number): table.classes[label] for number, label in enumerate(table.labels.tolist())}


def in_both(source: FolderReport, target: FolderReport) -> list[str]:
    """Warn of photographs that lie in both folders."""
    if not len(source.photos) or not len(target.photos):
        return []
    distance = nearest(thumbnails(target.photos), thumbnails(source.photos))
    equal, near = int((distance < 0).sum()), int((distance <= NEAR).sum())
    if not near:
        return []
    return [
        f"Warning: {near:,} photographs of the target look like one of the source ({equal:,} equal it at a glance). "
        "Their answers were learned by heart, so agreement and any accuracy are too good for new photographs."
    ]
