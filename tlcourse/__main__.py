"""`python -m tlcourse` is the command `tlcourse`."""

from tlcourse.cli import main

if __name__ == "__main__":  # the processes that mark import this module once more
    raise SystemExit(main())
