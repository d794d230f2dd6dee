"""The command `tlcourse`, for those who live in a terminal."""

import argparse
import importlib
import os
import sys
import time
from collections.abc import Sequence

# Each command is a module with `add_arguments(parser)` and `run(options) -> int`; it is imported when it is asked for.
COMMANDS = {
    "choose": ("tlcourse.photos.command_choose", "compare backbones on a folder of photographs, and advise one"),
    "adapt": (
        "tlcourse.photos.command_adapt",
        "adapt a classifier to photographs that look different, without labels",
    ),
    "finetune": ("tlcourse.photos.command_finetune", "train a classifier on a folder of photographs"),
    "shrink": ("tlcourse.photos.command_shrink", "make a trained classifier smaller, and say what that costs"),
    "predict": ("tlcourse.photos.command_predict", "ask a trained classifier what is on photographs"),
    "stress": (
        "tlcourse.photos.command_stress",
        "measure a trained classifier on photographs that get worse",
    ),
    "progress": ("tlcourse.lessons.progress_report", "show what you have done, or merge another machine's file"),
    "grade": ("tlcourse.teaching.grade", "mark notebooks that students handed in"),
    "editions": ("tlcourse.teaching.editions", "write the student's and the instructor's edition of the notebooks"),
}


STOPPED = 130  # what shells expect of a command that Ctrl-C ended


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `tlcourse WORDS`; return 0, 1 where it could not be done, 2 for wrong arguments, 130 after Ctrl-C."""
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except BrokenPipeError:  # whoever read the output has seen enough, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt as stop:
        print(f"\nstopped. {stop}".rstrip(), file=sys.stderr)
        return STOPPED


def _run(words: list[str]) -> int:
    began = time.monotonic()  # what a command imports may take a while, and counts for a budget of time
    if hasattr(sys.stdout, "reconfigure"):
        # Names come in all scripts; where a terminal or a pipe lacks a character, its number still tells names apart.
        sys.stdout.reconfigure(errors="backslashreplace", line_buffering=True)
    parser = argparse.ArgumentParser(prog="tlcourse", description="The transfer-learning course, from a terminal.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name, (module, purpose) in COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=f"tlcourse {name}: {purpose}.")
        if words[:1] == [name]:
            importlib.import_module(module).add_arguments(command)
    options = parser.parse_args(words, argparse.Namespace(began=began))
    try:
        return importlib.import_module(COMMANDS[options.command][0]).run(options)
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:  # what a user can mend: a missing file, a wrong name
        print(f"tlcourse {options.command}: {error}", file=sys.stderr)
        return 1
