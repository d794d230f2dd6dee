"""The command `tlcourse choose`: which backbone should these photographs start from?"""

import argparse
import shlex
from pathlib import Path

from tlcourse.notebook.display import table_as_text
from tlcourse.photos.choice_page import HEADER, choice_page, choice_rows, licences_in_words
from tlcourse.photos.choosing import FOLDS, compare_backbones, judge
from tlcourse.photos.networks import check_network, weights_in
from tlcourse.photos.options import NETWORKS_SAID, add_photo_options, check_outside, look, tell_left_out, try_network
from tlcourse.photos.splits import check_enough, set_test_aside
from tlcourse.repro import pick_device
from tlcourse.storage import StorageError, write_atomically


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_photo_options(parser)
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


def run(options: argparse.Namespace) -> int:
    """Inspect, judge, compare; where Ctrl-C stops it, nothing was written."""
    try:
        return _choose(options)
    except KeyboardInterrupt:
        raise KeyboardInterrupt("Nothing was written.") from None


def _choose(options: argparse.Namespace) -> int:
    weights = _check(options)
    folders = look(options)
    test = folders[1].photos if options.test is not None else None
    test, photos, *left_out = set_test_aside(folders[0].photos, test, seed=options.seed)
    check_enough(photos, FOLDS, "one for every fold, beside those kept for the test")
    tell_left_out(*left_out)
    apart = (
        f"Judged by {len(photos):,} photographs; {len(test):,} others stay apart: those that tlcourse finetune tests "
        "on, with the same options."
    )
    print(apart)
    judged = []
    for name, file in weights.items():
        print(f"Judging {name} ({len(judged) + 1} of {len(weights)}).")
        judged.append(judge(photos, name, file, side=options.side, seed=options.seed, device=options.device))
    choice = compare_backbones(photos, judged)
    command = _next_step(options, choice.advised.name, weights[choice.advised.name])
    print(table_as_text(HEADER, choice_rows(choice), ""))
    print("\n".join(["", *choice.reasons(), *(f"{a}: {b}" for a, b in licences_in_words(choice).items())]))
    print(f"Next: {command}")
    if options.out is not None:
        print(f"saved in {write_atomically(options.out, choice_page(choice, folders, apart, command).encode())}")
    return 0


def _check(options: argparse.Namespace) -> dict[str, str | Path]:
    """Try what the long work will need; return the weights of every network."""
    pick_device(options.device)
    if options.out is not None:
        check_outside(options.out, options.folder)
        if options.out.suffix != ".html":
            raise ValueError(f"--out is {options.out}, but the name of a page was expected, which ends in .html.")
    names = _names(options.backbones)
    folder = options.weights_dir
    if folder is not None and not folder.is_dir():
        raise StorageError(f"--weights-dir is {folder}, but a folder with files of weights was expected.")
    weights = {name: "DEFAULT" if folder is None else weights_in(folder, name) for name in names}
    for name in names:
        try_network(name, weights[name], options.side, "--weights-dir FOLDER")
    return weights


def _names(listed: str) -> list[str]:
    names = [name.strip() for name in listed.split(",") if name.strip()]
    if not names:
        raise ValueError(f"--backbones is {listed!r}, but names were expected, such as mobilenet_v2,resnet18.")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"--backbones names {', '.join(twice)} twice. Expected each once.")
    return [check_network(name) for name in names]


def _next_step(options: argparse.Namespace, name: str, weights: str | Path) -> str:
    """Return the command that trains from the backbone that was advised."""
    words = ["tlcourse", "finetune", str(options.folder), "--backbone", name]
    given = {"csv": options.csv, "label-column": options.label_column, "test": options.test, "side": options.side}
    given |= {"seed": options.seed or None, "weights": None if weights == "DEFAULT" else weights}
    for option, value in given.items():
        words += [f"--{option}", str(value)] if value is not None else []
    return shlex.join([*words, "--out", "model"])
