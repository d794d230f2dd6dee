"""The command `tlcourse predict`: what is on these photographs?"""

import argparse
import glob
import json
import sys
from pathlib import Path

from tlcourse.photos.classifier import Answer, load_classifier
from tlcourse.photos.read import printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("model", type=Path, help="folder that tlcourse finetune wrote")
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="photographs; patterns such as *.jpg may be given")
    parser.add_argument("--top", type=int, default=3, metavar="N", help="classes to name (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON list, for programs")


def run(options: argparse.Namespace) -> int:
    """Classify photographs; one that cannot be opened does not stop the others, but the status is then 1."""
    if options.top < 1:
        raise ValueError(f"--top is {options.top}, but at least 1 was expected.")
    classifier, records, failed = load_classifier(options.model), [], False
    for image in _expanded(options.images):
        try:
            answers = classifier.classify(image, top=options.top)
        except (OSError, ValueError) as error:
            failed = True
            records.append({"image": printable(image), "error": str(error)})
            print(f"tlcourse predict: {error}", file=sys.stderr)
            continue
        records.append({"image": printable(image), "answers": [_record(answer) for answer in answers]})
        if not options.json:
            print(f"{printable(image)}: {', '.join(f'{label} {100 * p:.1f} %' for label, p in answers)}")
    if options.json:
        print(json.dumps(records, indent=2))
    return int(failed)


def _record(answer: Answer) -> dict[str, str | float]:
    return {"class": answer.label, "probability": round(answer.probability, 6)}


def _expanded(images: list[str]) -> list[str]:
    """Replace patterns by the files that they stand for: on Windows, the terminal leaves that to the program."""
    return [
        path for image in images for path in ((sorted(glob.glob(image)) if not Path(image).exists() else []) or [image])
    ]
