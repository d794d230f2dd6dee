"""Secure aggregation: the server learns the sum of what clients send, and of a single client nothing.

Every pair of clients draws the same mask. One adds it, the other subtracts it, and in the sum it is gone.
"""

from collections.abc import Sequence

import torch

from tlcourse.repro import generator

BITS = 32  # of a number that is sent, as many as of a float32
MODULUS = 2**BITS
STEP = 2.0**-20  # what is sent is rounded to multiples of this, about a millionth


def masked(values: torch.Tensor, client: int, clients: int, *round_keys: int | str) -> torch.Tensor:
    """Return what a client sends in place of its values, float `[...]`: int64 from 0 to below 2**32, same shape.

    To cancel exactly, masks must be integers that wrap around: rounded floats would not add up, and a mask from a
    limited range would show large values. So values become multiples of 2**-20, and all is modulo 2**32.

    Clients are numbered from 0, and `round_keys` are what their masks are drawn from, such as a round and a seed. They
    stand for secrets of each pair: the real protocol agrees on them by Diffie-Hellman, without the server, and draws by
    a cryptographic generator. Masks must be new in every round: under the same mask, the difference of two messages is
    that of the values. ValueError where a sum of so many clients could wrap around.

    Source: Bonawitz et al., "Practical secure aggregation for privacy-preserving machine learning", 2017, ACM CCS.
    """
    _check(values, client, clients)
    message = (values.double() / STEP).round().long()
    for other in set(range(clients)) - {client}:
        pair = generator("mask", min(client, other), max(client, other), *round_keys)
        mask = torch.randint(MODULUS, values.shape, generator=pair)
        message += mask if client < other else -mask
    return message % MODULUS


def unmasked_sum(messages: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the sum of the clients' values, float64, from what all of them sent: exact, but for the first rounding.

    Every client rounds by at most 2**-21. When one drops out, its masks stay in the messages of all others, and the sum
    is as random as a mask; nothing here can tell. The real protocol gets over that: each client deals shares of its
    secrets to the others beforehand, and enough of those who stay can put together the masks of one who left.

    The sum itself is not hidden, and says what sums say: of two clients, each learns the other's part. Against what can
    be concluded from sums there is `differential_privacy`.
    """
    if not messages or {message.dtype for message in messages} != {torch.int64}:
        raise TypeError(
            f"{len(messages)} messages of {', '.join(sorted({str(m.dtype) for m in messages})) or 'no type'} came. "
            "Expected int64 from all clients of the round, as masked(...) returns."
        )
    total = sum(messages) % MODULUS
    signed = torch.where(total < MODULUS // 2, total, total - MODULUS)  # the upper half are negative numbers
    return signed.double() * STEP


def _check(values: torch.Tensor, client: int, clients: int) -> None:
    if clients < 2 or not 0 <= client < clients:
        raise ValueError(
            f"client {client} of {clients} was to send. Expected at least 2 clients, who are numbered from 0: one "
            "alone has nobody to share a mask with."
        )
    most = MODULUS / 2 * STEP / clients - STEP  # less a step, as values are rounded
    largest = values.abs().max().item() if values.numel() else 0.0
    if not largest <= most:
        raise ValueError(
            f"a value of size {largest:g} was to be sent, but at most {most:g} was expected, so that the sum of "
            f"{clients} clients stays below {MODULUS / 2 * STEP:g} and does not wrap around. Clip it first, or look "
            "for a training that broke."
        )
