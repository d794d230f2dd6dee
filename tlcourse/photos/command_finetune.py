"""The command `tlcourse finetune`: from a folder of photographs to a saved classifier with a report."""

import argparse
import contextlib
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from tlcourse.photos.archives import unpack_zip
from tlcourse.photos.budget import Budget, check_alone
from tlcourse.photos.classifier import REPORT, check_model_folder
from tlcourse.photos.inspection import inspect
from tlcourse.photos.options import (
    add_folder,
    add_network,
    add_shared,
    check_outside,
    check_test,
    check_unlabelled,
    look,
    nothing_written,
    tell_left_out,
    try_network,
)
from tlcourse.photos.pipeline import train_on_photos
from tlcourse.photos.report import report_page
from tlcourse.photos.scan import scan_unlabelled
from tlcourse.photos.views import RandomView
from tlcourse.repro import pick_device

METHODS = ("probe", "lora", "full")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_folder(parser)
    parser.add_argument(
        "--unlabelled",
        type=Path,
        metavar="FOLDER",
        help="photographs of the same classes without labels, or a zip of them; its subfolders are not read. Learned "
        "from too, by consistency or with --probe-only by pseudo-labels, and dropped where that is not seen to help",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the classifier shall be saved")
    add_network(parser)
    add_shared(parser)
    parser.add_argument(
        "--recipe",
        default="auto",
        choices=["auto", "full", "gentle"],
        help="of --method full: full, or gentle with a tenth of the rate; auto is gentle where the linear probe makes "
        "fewer than five mistakes on validation, since harm would not be seen there (default: %(default)s)",
    )
    parser.add_argument("--epochs", type=int, help="how often each is seen (default: as the recipe says)")
    parser.add_argument(
        "--method",
        choices=METHODS,
        help="probe trains the last layer alone: a minute, not several; lora that and low-rank changes of all others, "
        "merged in the end; full the whole network (default: full)",
    )
    parser.add_argument("--probe-only", action="store_true", help="the same as --method probe")
    parser.add_argument(
        "--budget",
        type=float,
        metavar="MINUTES",
        help="plan the training for so much time, as measured on this machine, and hold it, from reading to report: "
        "fewer epochs than the recipe has, never more; not together with --unlabelled, which trains twice",
    )
    parser.add_argument("--no-mirror", action="store_true", help="do not mirror photographs: for writing, signs, hands")


@nothing_written()
def run(options: argparse.Namespace) -> int:
    """Inspect, train, measure, save."""
    budget = None if options.budget is None else Budget(options.budget, began=options.began)
    out = check_model_folder(options.out)
    _check(options)
    with _unpacked(options.unlabelled) as unlabelled:
        _train(options, out, unlabelled, budget)
    if budget is not None:
        print(budget)
    print(f"saved in {out}; open {out / REPORT} to see where it errs, and ask it: tlcourse predict {out} IMAGE")
    return 0


def _train(options: argparse.Namespace, out: Path, unlabelled: Path | None, budget: Budget | None) -> None:
    """Inspect all folders, train, measure, and save."""
    asked = None if unlabelled is None else scan_unlabelled(unlabelled)
    if asked is not None:
        print(f"{asked.ignored()}. What is found there is learned from only where that is seen to help.")
    folders = look(options)
    if asked is not None:
        folders.append(inspect(asked, at_least=1))
        print(folders[-1])
    result = train_on_photos(
        folders[0].photos,
        options.backbone,
        options.weights,
        test=folders[1].photos if options.test is not None else None,
        unlabelled=folders[-1].photos if asked is not None else None,
        recipe="lora" if options.method == "lora" else options.recipe,
        changes=_changes(options),
        probe_only=options.method == "probe",
        budget=budget,
        side=options.side,
        seed=options.seed,
        device=options.device,
        tell=print,
    )
    print(result.evaluation)
    tell_left_out(result.parts.left_out, result.parts.notes)
    for path in result.worth.used.left_out if result.worth else ():
        print(f"  not learned from, since it, or one that looks like it, is labelled: {path}")
    result.save(out, report_page(result, folders))


@contextlib.contextmanager
def _unpacked(folder: Path | None) -> Iterator[Path | None]:
    """Give a folder as it is, and of a zip its content, which is there until the end."""
    if folder is None or not zipfile.is_zipfile(folder):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="tlcourse-") as place:
        yield unpack_zip(folder, Path(place) / folder.stem)


def _changes(options: argparse.Namespace) -> dict[str, object]:
    """Return what is to be changed in the recipe."""
    changes = {"view": RandomView(mirror=not options.no_mirror)}
    return changes | ({"epochs": options.epochs} if options.epochs else {})


def _method(options: argparse.Namespace) -> str:
    """Return what is trained; `--probe-only` is the older name of one method."""
    if options.probe_only and options.method not in (None, "probe"):
        raise ValueError(f"got --probe-only and --method {options.method}, but expected one of them.")
    if options.method == "lora" and options.recipe != "auto":
        raise ValueError(
            f"got --recipe {options.recipe} for --method lora, which has a recipe of its own. Expected it without "
            "--recipe, or --method full."
        )
    return "probe" if options.probe_only else options.method or "full"


def _check(options: argparse.Namespace) -> None:
    """Try what the long work will need."""
    if options.epochs is not None and options.epochs < 1:
        raise ValueError(f"--epochs is {options.epochs}, but at least 1 was expected; for none, use --probe-only.")
    options.method = _method(options)
    check_alone(options.budget, options.unlabelled)
    pick_device(options.device)
    check_outside(options.out, options.folder)
    check_test(options)
    check_unlabelled(options)
    try_network(options.backbone, options.weights, options.side, "--weights FILE")
