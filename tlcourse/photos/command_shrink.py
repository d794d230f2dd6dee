"""The command `tlcourse shrink`: a saved classifier made smaller, and what that costs on photographs."""

import argparse
from pathlib import Path

from tlcourse.notebook.display import table_as_text
from tlcourse.photos.classifier import FILES, ONNX, Classifier, load_classifier
from tlcourse.photos.inspection import inspect
from tlcourse.photos.networks import check_network
from tlcourse.photos.onnx_export import check_packages
from tlcourse.photos.options import (
    IN_MODEL,
    NETWORKS_SAID,
    add_folder,
    add_shared,
    check_outside,
    check_test,
    check_unlabelled,
    look,
    nothing_written,
    tell_left_out,
    try_network,
)
from tlcourse.photos.scan import scan_unlabelled
from tlcourse.photos.shrinking import WAYS, Lessons, Shrunk, asked, divided, to_int8, to_onnx, to_student
from tlcourse.photos.splits import PhotoParts
from tlcourse.photos.student import EPOCHS, OF_IMAGENET, OF_THE_COURSE, make_student, student_name
from tlcourse.photos.unlabelled import apart_from
from tlcourse.photos.whole_folder import check_target
from tlcourse.repro import pick_device

OF_STUDENTS = ("student", "student_weights", "epochs", "unlabelled", "side")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("model", type=Path, help="folder that tlcourse finetune wrote; it is not changed")
    add_folder(parser)
    parser.add_argument(
        "--to", default="int8", choices=list(WAYS), help="; ".join(f"{way}: {what}" for way, what in WAYS.items())
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="where the smaller one shall be saved"
    )
    parser.add_argument(
        "--student",
        metavar="NAME",
        help=f"network that learns: {NETWORKS_SAID} (default: {OF_THE_COURSE}, a quarter of tiny_resnet, from one of "
        f"the course's networks; {OF_IMAGENET} from another)",
    )
    parser.add_argument("--student-weights", metavar="FILE", help="weights that it begins with, instead of a download")
    parser.add_argument("--epochs", type=int, help=f"how often the student sees each photograph (default: {EPOCHS})")
    parser.add_argument("--no-mirror", action="store_true", help="do not mirror photographs: for writing, signs, hands")
    parser.add_argument(
        "--unlabelled", type=Path, metavar="FOLDER", help="photographs without labels that the student learns from too"
    )
    add_shared(parser)
    parser.set_defaults(seed=None)


@nothing_written()
def run(options: argparse.Namespace) -> int:
    """Load, inspect, measure, shrink, measure again, save."""
    out = check_target(options.out, (*FILES, ONNX))
    classifier = _check(options)
    seed = _seed(options, classifier)
    folders = look(options)
    parts = divided(classifier, folders[0].photos, folders[1].photos if options.test is not None else None, seed)
    tell_left_out(parts.left_out, parts.notes)
    print(
        f"Measured on {len(parts.test):,} test photographs, dealt with seed {seed}: the same that tlcourse finetune "
        "tests on, where these are the folders that it was given."
    )
    classifier.model.to(pick_device(options.device))
    shrunk = _shrink(options, classifier, parts, seed)
    header, *rows = shrunk.rows()
    print(table_as_text(header, rows, ""), *shrunk.in_lines(), sep="\n")
    shrunk.save(out)
    print(f"saved in {out}; {_next(shrunk.way, out)}")
    return 0


def _shrink(options: argparse.Namespace, classifier: Classifier, parts: PhotoParts, seed: int) -> Shrunk:
    before = asked(classifier, parts.test)
    if options.to == "int8":
        return to_int8(classifier, parts, before, seed)
    if options.to == "onnx":
        return to_onnx(classifier, parts, before)
    unlabelled = None
    if options.unlabelled is not None:
        found = inspect(scan_unlabelled(options.unlabelled), at_least=1)
        print(found)
        given = apart_from(found.photos, [parts.test, parts.validation, parts.train])
        tell_left_out(given.left_out, ())
        unlabelled = given.photos
    name = options.student or student_name(classifier.card.backbone)
    mirror = not options.no_mirror and classifier.card.training.get("mirrored") != "no"  # as the model was trained
    lessons = Lessons(name, options.student_weights, options.side, options.epochs, mirror, unlabelled)
    print(f"Teaching: {name} learns what {classifier.card.backbone} answers.")
    return to_student(classifier, parts, before, lessons, seed=seed, device=options.device)


def _check(options: argparse.Namespace) -> Classifier:
    """Try what the long work will need; return the classifier."""
    pick_device(options.device)
    check_outside(options.out, options.model, IN_MODEL)
    check_outside(options.out, options.folder)
    check_test(options)
    _check_student(options)
    check_unlabelled(options)
    if options.unlabelled is not None:
        scan_unlabelled(options.unlabelled)  # refuses what is no folder
    classifier = load_classifier(options.model)
    if options.to == "onnx":
        check_packages()
    if options.to == "student":
        name = check_network(options.student or student_name(classifier.card.backbone))
        if name != OF_THE_COURSE or options.student_weights is not None:
            own = "--student-weights FILE"
            try_network(name, options.student_weights or "DEFAULT", options.side, own)
        make_student(name, classifier, options.student_weights, side=options.side)
    return classifier


def _check_student(options: argparse.Namespace) -> None:
    """Refuse options that would be passed over."""
    given = [f"--{name.replace('_', '-')}" for name in OF_STUDENTS if getattr(options, name) is not None]
    if given and options.to != "student":
        raise ValueError(f"{', '.join(given)} came with --to {options.to}. Expected with --to student alone.")
    if options.epochs is not None and options.epochs < 1:
        raise ValueError(f"--epochs is {options.epochs}, but at least 1 was expected.")


def _seed(options: argparse.Namespace, classifier: Classifier) -> int:
    """Return the seed that was given, or that of the classifier's training, so that the photographs are dealt alike."""
    known = classifier.card.training.get("seed", "0")
    return options.seed if options.seed is not None else int(known) if known.isdigit() else 0


def _next(way: str, out: Path) -> str:
    if way == "onnx":
        return f"{out / ONNX} is asked by ONNX Runtime; MODEL_CARD.md says how"
    return f"ask it: tlcourse predict {out} IMAGE"
