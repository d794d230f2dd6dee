"""A setting of the system's allocator, without which a network takes up to twice as long over photographs."""

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # names and numbers of glibc's malloc.h
USUAL = 2**25  # bytes: of larger blocks glibc keeps none
CHOSEN_BY_THE_USER = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory(up_to: int = 2**30) -> bool:
    """Let glibc keep blocks of up to so many bytes for the next batch, and say whether it does.

    By default it hands every block above 32 MiB back to the system at once, and gets it anew, filled with zeros page by
    page, in the next layer: half of the time that MobileNetV2 needs for 16 photographs. No number that is computed
    depends on it; a process may hold a few percent more memory than it needs. Elsewhere than on Linux with glibc, or
    where a variable of the environment says how memory is to be kept, nothing is changed.

    Source: the GNU C Library manual, "Malloc Tunable Parameters".
    """
    if sys.platform != "linux" or any(name in os.environ for name in CHOSEN_BY_THE_USER):
        return False
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):  # another library, such as musl
        return False
    return all(libc.mallopt(what, up_to) == 1 for what in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD))


@contextlib.contextmanager
def large_blocks_go_back() -> Iterator[None]:
    """Have glibc do inside what it does by default, for work that asks for few blocks, each larger than the last.

    Where freed ones are kept, small ones soon lie in them, a large one finds no place, and memory grows without need.
    """
    keep_freed_memory(USUAL)
    try:
        yield
    finally:
        keep_freed_memory()
