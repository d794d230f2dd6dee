"""The command `tlcourse stress`: does a saved classifier hold when photographs are worse?"""

import argparse
from pathlib import Path

from tlcourse.notebook.display import table_as_text
from tlcourse.photos.classifier import load_classifier
from tlcourse.photos.inspection import inspect
from tlcourse.photos.options import IN_MODEL, add_computing, add_table, check_outside, nothing_written
from tlcourse.photos.scan import scan
from tlcourse.photos.splits import with_classes
from tlcourse.photos.stress import stress
from tlcourse.photos.stress_page import HEADER, accuracy_rows, in_sentences, stress_page
from tlcourse.photos.whole_folder import check_target, write_folder
from tlcourse.repro import pick_device

PAGE, TABLE = "report.html", "stress.csv"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("model", type=Path, help="folder that tlcourse finetune or adapt wrote")
    parser.add_argument(
        "folder", type=Path, help="photographs that it did not learn from, one subfolder for every class; not changed"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help=f"where {PAGE} and {TABLE} shall be saved"
    )
    add_table(parser)
    add_computing(parser)


@nothing_written()
def run(options: argparse.Namespace) -> int:
    """Inspect, corrupt, ask, say."""
    device = pick_device(options.device)
    out = check_target(options.out, (PAGE, TABLE))
    check_outside(options.out, options.folder)
    check_outside(options.out, options.model, IN_MODEL)
    classifier = load_classifier(options.model, device)
    folder = inspect(scan(options.folder, options.csv, options.label_column), at_least=1)
    print(folder)
    photos = with_classes(folder.photos, classifier.classes)
    result = stress(classifier, photos, seed=options.seed, tell=print)
    print(table_as_text(HEADER, accuracy_rows(result), "right answers (%) [95 % interval]"))
    print(*in_sentences(result), sep="\n")
    files = {PAGE: stress_page(result, folder).encode(), TABLE: result.to_csv().encode()}
    print(f"saved in {write_folder(out, files)}: {PAGE} and {TABLE}")
    return 0
