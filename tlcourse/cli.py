"""The command `tlcourse`, for those who live in a terminal."""

import argparse
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: the words behind `tlcourse`; by default those of the command line.

    Returns:
        The exit status, 0 when all went well.
    """
    parser = argparse.ArgumentParser(prog="tlcourse", description="The transfer-learning course, from a terminal.")
    parser.add_subparsers(required=True, metavar="COMMAND")
    chosen = parser.parse_args(arguments)
    return chosen.run(chosen)
