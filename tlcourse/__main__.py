"""`python -m tlcourse` is the command `tlcourse`."""

from tlcourse.cli import main

raise SystemExit(main())
