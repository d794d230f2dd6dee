"""Nothing that a killed process left is read as whole; killed_while_working.py beside this tries many more moments."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("killed_while_working.py")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize("ways", ["3 fine_tuning pretraining saving downloading", "1 grading"])
def test_nothing_half_written_is_read_after_a_kill(tmp_path, environment, ways):
    command = [sys.executable, SCRIPT, tmp_path, *ways.split()]
    found = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert found.stdout.count("all was whole") == ways.count(" "), found.stderr
