"""The command `tlcourse predict`: what is on these photographs?"""

import argparse
import glob
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from tlcourse.photos.classifier import Answer, Classifier, load_classifier
from tlcourse.photos.read import printable
from tlcourse.photos.scan import is_system_file

AT_ONCE = 256  # photographs that are asked about together; answers are printed after so many


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("model", type=Path, help="folder that tlcourse finetune wrote")
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="photographs, folders of them, or patterns such as *.jpg"
    )
    parser.add_argument("--top", type=int, default=3, metavar="N", help="classes to name (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON list, for programs")


def run(options: argparse.Namespace) -> int:
    """Classify photographs; one that cannot be opened does not stop the others, but the status is then 1."""
    if options.top < 1:
        raise ValueError(f"--top is {options.top}, but at least 1 was expected.")
    classifier, records, failed = load_classifier(options.model), [], False
    for image, answers in _answered(classifier, list(_expanded(options.images)), options.top):
        if isinstance(answers, Exception):
            failed = True
            records.append({"image": printable(image), "error": str(answers)})
            print(f"tlcourse predict: {answers}", file=sys.stderr)
            continue
        records.append({"image": printable(image), "answers": [_record(answer) for answer in answers]})
        if not options.json:
            print(f"{printable(image)}: {', '.join(f'{label} {100 * p:.1f} %' for label, p in answers)}")
    if options.json:
        print(json.dumps(records, indent=2))
    return int(failed)


def _answered(
    classifier: Classifier, images: list[str], top: int
) -> Iterator[tuple[str, list[Answer] | OSError | ValueError]]:
    """Yield each photograph with its answers, or with the error where it has none."""
    for start in range(0, len(images), AT_ONCE):
        some = images[start : start + AT_ONCE]
        try:
            yield from zip(some, classifier.classify(some, top), strict=True)
        except (OSError, ValueError) as error:
            if len(some) == 1:
                yield some[0], error
            else:  # one of them cannot be read: which?
                for image in some:
                    yield from _answered(classifier, [image], top)


def _record(answer: Answer) -> dict[str, str | float]:
    return {"class": answer.label, "probability": round(answer.probability, 6)}


def _expanded(images: list[str]) -> Iterator[str]:
    """Replace folders by their files, and patterns by what they stand for: on Windows, the program must do that."""
    for image in images:
        if image and Path(image).is_dir():  # an empty text would be the folder one is in
            files = [path for path in sorted(Path(image).rglob("*")) if path.is_file() and not _hidden(path, image)]
            yield from map(str, files or [image])  # an empty one fails as what it is
        else:
            yield from (sorted(glob.glob(image)) if not Path(image).exists() else []) or [image]


def _hidden(path: Path, folder: str) -> bool:
    return any(map(is_system_file, path.relative_to(folder).parts))
