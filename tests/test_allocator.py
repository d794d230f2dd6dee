import subprocess
import sys

import pytest

from tlcourse.allocator import CHOSEN_BY_THE_USER, keep_freed_memory

PAGES_OF_THE_SECOND_BLOCK = """
import ctypes, resource
{setting}
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
size = 2**28
for turn in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = libc.malloc(size)
    ctypes.memset(block, 1, size)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    libc.free(block)
"""

needs_glibc = pytest.mark.skipif(not keep_freed_memory(), reason="only Linux with glibc has this setting")


def new_pages(setting: str) -> int:
    """Count the pages that the system must fill with zeros for a block as large as one just freed."""
    program = PAGES_OF_THE_SECOND_BLOCK.format(setting=setting)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return int(run.stdout.split()[1])


@needs_glibc
def test_a_block_that_was_freed_is_used_again() -> None:
    kept = new_pages("from tlcourse.allocator import keep_freed_memory; assert keep_freed_memory()")
    assert kept < 20
    assert new_pages("") > 100  # 2**28 bytes are 65,536 pages of 4 KiB, or 128 of 2 MiB


@needs_glibc
def test_importing_the_course_is_enough() -> None:
    assert new_pages("import tlcourse") < 20


@needs_glibc
def test_inside_a_block_that_was_freed_goes_back_and_afterwards_it_is_kept_again() -> None:
    begin = "from tlcourse.allocator import large_blocks_go_back; inside = large_blocks_go_back(); inside.__enter__()"
    assert new_pages(begin) > 100
    assert new_pages(f"{begin}; inside.__exit__(None, None, None)") < 20


@pytest.mark.parametrize("name", CHOSEN_BY_THE_USER)
def test_what_the_environment_says_stays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    assert not keep_freed_memory()


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
