"""Nothing that a killed process left is read as whole; killed_while_working.py beside this tries many more moments."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("killed_while_working.py")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.parametrize("ways", [["fine_tuning", "pretraining", "saving", "downloading"], ["grading"]], ids=len)
def test_nothing_half_written_is_read_after_a_kill(tmp_path, environment, ways):
    found = subprocess.run(
        [sys.executable, SCRIPT, tmp_path, "3", *ways], env=environment, capture_output=True, text=True
    )
    assert found.stdout.count("all was whole") == len(ways), found.stderr
