"""The command `tlcourse choose`: which backbone should these photographs start from?"""

import argparse
import shlex
from pathlib import Path

from tlcourse.notebook.display import table_as_text
from tlcourse.photos.choice_page import HEADER, choice_page, choice_rows, licences_in_words
from tlcourse.photos.choosing import compare_backbones
from tlcourse.photos.networks import check_network, weights_in
from tlcourse.photos.options import (
    NETWORKS_SAID,
    add_folder,
    add_shared,
    check_outside,
    check_test,
    look,
    nothing_written,
    tell_left_out,
    try_network,
)
from tlcourse.photos.splits import set_test_aside
from tlcourse.repro import pick_device
from tlcourse.storage import StorageError, check_writable, write_atomically


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_folder(parser)
    parser.add_argument(
        "--backbones",
        required=True,
        metavar="A,B,...",
        help=f"networks to compare, with commas between them: {NETWORKS_SAID}",
    )
    parser.add_argument(
        "--weights-dir",
        type=Path,
        metavar="FOLDER",
        help="weights of the networks, instead of a download: files such as resnet18.pth, resnet18.safetensors, or "
        "named as torchvision names them",
    )
    parser.add_argument("--out", type=Path, metavar="FILE.html", help="write the comparison as a page, too")
    add_shared(parser)


@nothing_written()
def run(options: argparse.Namespace) -> int:
    """Inspect, judge, compare."""
    names = _check(options)
    folders = look(options)
    test = folders[1].photos if options.test is not None else None
    test, photos, *left_out = set_test_aside(folders[0].photos, test, seed=options.seed)
    tell_left_out(*left_out)
    apart = (
        f"Judged by {len(photos):,} photographs; {len(test):,} others stay apart: those that tlcourse finetune tests "
        "on, with the same options."
    )
    print(apart)
    how = {"side": options.side, "seed": options.seed, "device": options.device, "tell": print}
    choice = compare_backbones(photos, names, options.weights_dir, **how)
    command = _next_step(options, choice.advised.name)
    print(table_as_text(HEADER, choice_rows(choice), ""))
    print("\n".join(["", *choice.reasons(), *(f"{a}: {b}" for a, b in licences_in_words(choice).items())]))
    print(f"Next: {command}")
    if options.out is not None:
        print(f"saved in {write_atomically(options.out, choice_page(choice, folders, apart, command).encode())}")
    return 0


def _check(options: argparse.Namespace) -> list[str]:
    """Try what the long work will need; return the names of the networks."""
    pick_device(options.device)
    if options.out is not None:
        check_outside(options.out, options.folder)
        if options.out.suffix != ".html":
            raise ValueError(f"--out is {options.out}, but the name of a page was expected, which ends in .html.")
        check_writable(options.out)
    check_test(options)
    names = _names(options.backbones)
    folder = options.weights_dir
    if folder is not None and not folder.is_dir():
        raise StorageError(f"--weights-dir is {folder}, but a folder with files of weights was expected.")
    for name, weights in zip(names, _weights(folder, names), strict=True):
        try_network(name, weights, options.side, "--weights-dir FOLDER")
    return names


def _weights(folder: Path | None, names: list[str]) -> list[Path | str]:
    """Find the weights of all networks, or say of all at once which are missing."""
    found, missing = [], []
    for name in names:
        try:
            found.append(weights_in(folder, name))
        except StorageError as error:
            missing.append(str(error))
    if missing:
        raise StorageError("\n".join(missing))
    return found


def _names(listed: str) -> list[str]:
    names = [name.strip() for name in listed.split(",") if name.strip()]
    if not names:
        raise ValueError(f"--backbones is {listed!r}, but names were expected, such as mobilenet_v2,resnet18.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"--backbones names {', '.join(twice)} twice. Expected each once.")
    return [check_network(name) for name in names]


def _next_step(options: argparse.Namespace, name: str) -> str:
    """Return the command that trains from the backbone that was advised."""
    weights = weights_in(options.weights_dir, name)
    words = ["tlcourse", "finetune", str(options.folder), "--backbone", name]
    given = {"csv": options.csv, "label-column": options.label_column, "test": options.test, "side": options.side}
    given |= {"seed": options.seed or None, "weights": None if weights == "DEFAULT" else weights}
    for option, value in given.items():
        words += [f"--{option}", str(value)] if value is not None else []
    return shlex.join([*words, "--out", "model"])
