"""Rounds of federated learning on one machine: seconds, of the clock and of the processor, and memory.

    python benchmarks/federated_rounds.py [CLIENTS ROUNDS]

Close other programs first. Ten clients for ten rounds and a hundred clients for twenty unless given, all clients in
every round, each with its share of 906 images of handwriting. Time and memory must not grow with the rounds.
"""

import statistics
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

import psutil

import tlcourse as tl
from tlcourse.federated.clients import by_label
from tlcourse.federated.federation import Federation, Round
from tlcourse.training.starts import starting_model

SHOWN = (1, 5, 10, 20, 50, 100)  # rounds


class Cost(NamedTuple):
    """What a round took."""

    seconds: float
    processor: float  # seconds, of all cores together
    resident: float  # MiB of memory when it was over
    done: Round


def costs(federation: Federation, rounds: int) -> Iterator[Cost]:
    process = psutil.Process()
    for _ in range(rounds):
        clock, processor = time.perf_counter(), time.process_time()
        done = federation.one_round()
        taken = time.perf_counter() - clock, time.process_time() - processor
        yield Cost(*taken, process.memory_info().rss / 2**20, done)


def measure(clients: int, rounds: int) -> None:
    equal_shares = by_label(tl.load("handwritten-photo"), clients, float("inf"), at_least=1)
    federation = Federation(starting_model("fine-tuned", 0), equal_shares)
    print(f"{clients} clients, {rounds} rounds")
    taken = []
    for cost in costs(federation, rounds):
        taken.append(cost)
        if cost.done.number in (*SHOWN, rounds):
            print(
                f"  round {cost.done.number:3d} {cost.seconds:7.2f} s {cost.processor:7.2f} s of processor "
                f"{cost.resident:8.0f} MiB {cost.done.megabytes:7.1f} MB sent",
                flush=True,
            )
    report(taken)


def report(taken: list[Cost]) -> None:
    """Say whether the second half of the rounds took what the first did; the very first warms up."""
    warm = taken[1:]
    halves = warm[: len(warm) // 2], warm[len(warm) // 2 :]
    early, late = (statistics.median(cost.processor for cost in half) for half in halves)
    seconds, processor = sum(cost.seconds for cost in taken), sum(cost.processor for cost in taken)
    print(f"  in all {seconds:.1f} s, {processor:.1f} s of processor")
    print(f"  a round in the first half {early:.2f} s of processor, in the second {late:.2f} ({late / early - 1:+.0%})")
    print(f"  memory after the last round, against the second: {warm[-1].resident - warm[0].resident:+.0f} MiB")


def main() -> None:
    print(tl.describe_machine(), end="\n\n")
    match [int(word) for word in sys.argv[1:]]:
        case []:
            measure(10, 10)
            measure(100, 20)
        case [clients, rounds]:
            measure(clients, max(rounds, 3))
        case words:
            raise SystemExit(f"got {len(words)} numbers. Expected two, clients and rounds, or none.")


if __name__ == "__main__":
    main()
