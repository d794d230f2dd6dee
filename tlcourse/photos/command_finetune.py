"""The command `tlcourse finetune`: from a folder of photographs to a saved classifier with a report."""

import argparse
from pathlib import Path

from tlcourse.data.downloads import DownloadError
from tlcourse.photos.classifier import REPORT, check_model_folder
from tlcourse.photos.findings import FolderReport
from tlcourse.photos.inspection import inspect
from tlcourse.photos.networks import photo_network
from tlcourse.photos.pipeline import train_on_photos
from tlcourse.photos.recipe import RECIPES
from tlcourse.photos.report import report_page
from tlcourse.photos.scan import Scan, scan
from tlcourse.photos.splits import PARTS
from tlcourse.photos.views import RandomView
from tlcourse.repro import pick_device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("folder", type=Path, help="photographs, one subfolder for every class; it is not changed")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="where the classifier shall be saved")
    parser.add_argument(
        "--backbone",
        default="mobilenet_v2",
        metavar="NAME",
        help="network: any classification network of torchvision, or tiny_resnet, which came with the course "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--weights", default="DEFAULT", metavar="FILE", help="weights of the network, instead of a download"
    )
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="a table of file names and labels, instead of subfolders"
    )
    parser.add_argument("--label-column", metavar="TITLE", help="the column of the table that holds the classes")
    parser.add_argument("--test", type=Path, metavar="FOLDER", help="photographs kept for the test (default: a fifth)")
    parser.add_argument(
        "--recipe",
        default="auto",
        choices=["auto", *RECIPES],
        help="full, or gentle with a tenth of the rate; auto is gentle where the linear probe makes fewer than five "
        "mistakes on validation, since harm would not be seen there (default: %(default)s)",
    )
    parser.add_argument("--epochs", type=int, help="how often each is seen (default: as the recipe says)")
    parser.add_argument("--side", type=int, metavar="PIXELS", help="size of the images; smaller is faster")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random (default: %(default)s)")
    parser.add_argument("--probe-only", action="store_true", help="train the last layer alone: a minute, not several")
    parser.add_argument("--no-mirror", action="store_true", help="do not mirror photographs: for writing, signs, hands")
    parser.add_argument("--device", help="cpu or cuda (default: a GPU if there is one)")


def run(options: argparse.Namespace) -> int:
    """Inspect, train, measure, save; where Ctrl-C stops it, nothing was written."""
    try:
        return _finetune(options)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Nothing was written.") from None


def _finetune(options: argparse.Namespace) -> int:
    out = check_model_folder(options.out)
    _check(options)
    needed = PARTS if options.test is None else PARTS - 1
    folders = [_look(scan(options.folder, options.csv, options.label_column), needed)]
    if options.test is not None:
        folders.append(_look(scan(options.test), 1))
    result = train_on_photos(
        folders[0].photos,
        options.backbone,
        options.weights,
        test=folders[1].photos if options.test is not None else None,
        recipe=options.recipe,
        changes=_changes(options),
        probe_only=options.probe_only,
        side=options.side,
        seed=options.seed,
        device=options.device,
        tell=print,
    )
    print(result.evaluation)
    for note in result.parts.notes:
        print(f"  {note}")
    for path in result.parts.left_out:
        print(f"  not used, since it, or one that looks like it, is among the test photographs: {path}")
    result.save(out, report_page(result, folders))
    print(f"saved in {out}; open {out / REPORT} to see where it errs, and ask it: tlcourse predict {out} IMAGE")
    return 0


def _look(found: Scan, needed: int) -> FolderReport:
    report = inspect(found, at_least=needed)
    print(report)
    return report


def _changes(options: argparse.Namespace) -> dict[str, object]:
    """Return what is to be changed in the recipe."""
    changes = {"view": RandomView(mirror=not options.no_mirror)}
    return changes | ({"epochs": options.epochs} if options.epochs else {})


def _check(options: argparse.Namespace) -> None:
    """Try what the long work will need: who has neither internet nor fitting weights shall know it at once."""
    if options.epochs is not None and options.epochs < 1:
        raise ValueError(f"--epochs is {options.epochs}, but at least 1 was expected; for none, use --probe-only.")
    pick_device(options.device)
    if options.out.resolve().is_relative_to(options.folder.resolve()):
        raise ValueError(
            f"--out is {options.out}, which lies in the folder of photographs, where it would look like a class. "
            "Choose a place outside."
        )
    try:
        photo_network(options.backbone, 2, options.weights, side=options.side)
    except DownloadError as error:
        raise DownloadError(
            f"{error}\nWithout network: give weights that you have, --weights FILE; or train --backbone tiny_resnet, "
            "which came with the course and works offline."
        ) from error
