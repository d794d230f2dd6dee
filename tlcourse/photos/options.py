"""What the commands on a folder of photographs share: their options, the look into the folder, a first try."""

import argparse
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from tlcourse.data.downloads import DownloadError
from tlcourse.photos.findings import FolderReport
from tlcourse.photos.inspection import inspect
from tlcourse.photos.networks import photo_network
from tlcourse.photos.scan import scan
from tlcourse.photos.splits import PARTS
from tlcourse.photos.whole_folder import real_path

NETWORKS_SAID = "any classification network of torchvision, or tiny_resnet, which came with the course"


def add_folder(parser: argparse.ArgumentParser) -> None:
    """Declare which photographs, and which of them are kept for the test."""
    parser.add_argument("folder", type=Path, help="photographs, one subfolder for every class; it is not changed")
    parser.add_argument("--test", type=Path, metavar="FOLDER", help="photographs kept for the test (default: a fifth)")


def add_network(parser: argparse.ArgumentParser) -> None:
    """Declare the network to begin with."""
    parser.add_argument(
        "--backbone", default="mobilenet_v2", metavar="NAME", help=f"network: {NETWORKS_SAID} (default: %(default)s)"
    )
    parser.add_argument(
        "--weights", default="DEFAULT", metavar="FILE", help="weights of the network, instead of a download"
    )


def add_shared(parser: argparse.ArgumentParser) -> None:
    """Declare where labels come from, and how to compute."""
    add_table(parser)
    parser.add_argument("--side", type=int, metavar="PIXELS", help="size of the images; smaller is faster")
    add_computing(parser)


def add_table(parser: argparse.ArgumentParser) -> None:
    """Declare where labels come from that are not names of folders."""
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="a table of file names and labels, instead of subfolders"
    )
    parser.add_argument("--label-column", metavar="TITLE", help="the column of a table that holds the classes")


def add_computing(parser: argparse.ArgumentParser) -> None:
    """Declare the seed and the device."""
    parser.add_argument("--seed", type=int, default=0, help="of all that is random (default: %(default)s)")
    parser.add_argument("--device", help="cpu or cuda (default: a GPU if there is one)")


@contextlib.contextmanager
def nothing_written() -> Iterator[None]:
    """Say of a command that writes at its very end alone, where Ctrl-C stops it, that nothing was written."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Nothing was written.") from None


def look(options: argparse.Namespace) -> list[FolderReport]:
    """Inspect the folder of photographs, and that of the test where one was given; print what was found."""
    wanted = [(scan(options.folder, options.csv, options.label_column), PARTS if options.test is None else PARTS - 1)]
    if options.test is not None:
        wanted.append((scan(options.test), 1))
    reports = []
    for found, needed in wanted:
        reports.append(inspect(found, at_least=needed))
        print(reports[-1])
    return reports


def tell_left_out(left_out: Sequence[Path], notes: Sequence[str]) -> None:
    """Print which photographs were not used, since they are among those of the test, and what else must be known."""
    for note in notes:
        print(f"  {note}")
    for path in left_out:
        print(f"  not used, since it, or one that looks like it, is among the test photographs: {path}")


AMONG_PHOTOGRAPHS = "the folder of photographs, where it would look like a class"
IN_MODEL = "the folder of the classifier, which could not be replaced any more"


def check_outside(out: Path, folder: Path, what: str = AMONG_PHOTOGRAPHS) -> None:
    """Refuse to write into a folder that was given."""
    if real_path(out).is_relative_to(real_path(folder)):
        raise ValueError(f"--out is {out}, which lies in {what}. Choose a place outside.")


def check_apart(names: str, one: Path, other: Path, way_out: str = "") -> None:
    """Refuse a folder that was given twice, and folders of which one holds the other; `way_out` ends the error."""
    first, second = real_path(one), real_path(other)
    if first == second:
        raise ValueError(f"{names} are both {one}. Expected two folders of different photographs.{way_out}")
    if first.is_relative_to(second) or second.is_relative_to(first):
        raise ValueError(
            f"{one} and {other} lie in one another, so that photographs of one would be taken for the other's. "
            f"Expected two folders side by side.{way_out}"
        )


def check_test(options: argparse.Namespace) -> None:
    """Refuse a test on what is learned from; a table of labels may say which files of a folder are which."""
    if options.test is not None and options.out is not None:
        check_outside(options.out, options.test)
    if options.test is not None and options.csv is None:
        way_out = " Such as data/train and --test data/test; or leave --test out: a fifth is kept then."
        check_apart("FOLDER and --test", options.folder, options.test, way_out)


def check_unlabelled(options: argparse.Namespace) -> None:
    """Refuse photographs without labels that are those with labels; a table may say which files of a folder are."""
    if options.unlabelled is None:
        return
    check_outside(options.out, options.unlabelled)
    if options.csv is None:
        check_apart("FOLDER and --unlabelled", options.folder, options.unlabelled)
    if options.test is not None:
        check_apart("--test and --unlabelled", options.test, options.unlabelled)


def try_network(name: str, weights: str | Path, side: int | None, own_weights: str) -> None:
    """Make a network before the long work: who has neither internet nor fitting weights shall know it at once.

    `own_weights` is the option that takes weights from disk, as an error shows it.
    """
    try:
        photo_network(name, 2, weights, side=side)
    except DownloadError as error:
        raise DownloadError(
            f"{error}\nWithout network: give weights that you have, {own_weights}; or take tiny_resnet, which came "
            "with the course and works offline."
        ) from error
