"""Printing on any terminal: names of files and classes come in all scripts, and not every terminal can show them."""

import sys


def say(text: str) -> None:
    """Print a line; what the terminal cannot show becomes `?`, and progress bars stay whole.

    Args:
        text: the line.
    """
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), flush=True)
