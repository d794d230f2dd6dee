"""Several small trainings at the same time, one core each."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

from tlcourse.repro import progress_bar

MOST = 4  # more at a time would wait for each other in Python, and ask for more memory


def how_many() -> int:
    """Return how many trainings run at the same time: one a thread that PyTorch uses, and at most 4.

    A GPU works on so small a network faster than one thread of Python can tell it what to do, so four tell it.
    """
    return min(torch.get_num_threads(), MOST)


def side_by_side(
    function: Callable[..., Any], plan: Sequence[tuple], progress: bool = True, name: str = "trainings"
) -> list[Any]:
    """Call a function for every entry of a plan, several at the same time; return the answers in the plan's order.

    The course's networks are so small that two cores working on the same batch mostly wait for each other. Two
    trainings side by side, on one core each, are done about a quarter sooner. The function must not use PyTorch's
    global generator outside `seeded`. Raises what the first call that fails raises; calls that have not begun are then
    dropped. `name` is that of the bar.
    """
    bar = progress_bar(total=len(plan), desc=name, shown=progress)
    workers, threads = how_many(), torch.get_num_threads()
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(max(1, threads // workers),))
    try:
        with bar:
            calls = [pool.submit(function, *arguments) for arguments in plan]
            for call in calls:
                call.add_done_callback(lambda _: bar.update())
            return [call.result() for call in calls]
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # PyTorch would give new threads the number of the last one that was told
