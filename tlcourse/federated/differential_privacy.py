"""Differential privacy: clip what each example adds, add noise to the sum, and account for what is still given away.

A method is (epsilon, delta)-differentially private if, whatever one example is and whether or not it took part, each
set of results is at most e^epsilon times as probable as it would be otherwise, plus delta. Small epsilons promise much:
at 0.1 nobody can tell, at 10 hardly anything is promised.
"""

import functools
import math

import torch

# Each order gives a bound, and the best of them counts. Beyond 64, one in twenty is enough.
ORDERS = torch.tensor(sorted({*range(2, 65), *(round(64 * 1.05**power) for power in range(57))}), dtype=torch.float64)
HALVINGS = 50  # of an interval of noise multipliers


def clip(rows: torch.Tensor, norm: float) -> torch.Tensor:
    """Shorten each row of float `[N, D]` that is longer than `norm` to that length; the direction stays.

    Then no example can move the sum by more than `norm`. ValueError where a row is not finite, since no clipping would
    bound it.

    Source: Abadi et al., "Deep learning with differential privacy", 2016, ACM CCS.
    """
    if rows.ndim != 2 or not torch.isfinite(rows).all():
        raise ValueError(
            f"rows of shape {list(rows.shape)} came. Expected [N, D], a row an example, with finite numbers alone."
        )
    if not 0 < norm < math.inf:
        raise ValueError(f"the norm is {norm}, but a length above 0 was expected, such as 1.0.")
    lengths = torch.linalg.vector_norm(rows, dim=1, keepdim=True)  # [N, 1]
    return rows * (norm / lengths).clamp(max=1)  # norm / 0 is infinite, and clamped


def noisy_sum(rows: torch.Tensor, norm: float, noise_multiplier: float, draws: torch.Generator) -> torch.Tensor:
    """Return the sum of clipped rows, `[D]`, plus Gaussian noise of standard deviation `noise_multiplier * norm`.

    This is the Gaussian mechanism; `epsilon` says what it gives away. Of no rows, `[0, D]`, it is the noise alone.

    Source: Dwork and Roth, "The algorithmic foundations of differential privacy", 2014, Foundations and Trends in
    Theoretical Computer Science.
    """
    total = clip(rows, norm).sum(0)
    return total + gaussian_noise(total, norm, noise_multiplier, draws)


def gaussian_noise(total: torch.Tensor, norm: float, noise_multiplier: float, draws: torch.Generator) -> torch.Tensor:
    """Draw the noise for a sum to which each example adds at most `norm`; shape, type and device are the sum's.

    `draws` makes a course repeatable, and would make a real training void: whoever knows the seed subtracts the noise.
    There, it has to come from a cryptographic generator, and with care for the rounding of floats, which can give away
    what the noise should hide: Mironov, "On significance of the least significant bits for differential privacy", 2012,
    ACM CCS.
    """
    _check_noise(noise_multiplier)
    noise = torch.randn(total.shape, generator=draws, dtype=total.dtype)
    return noise_multiplier * norm * noise.to(total.device)


def epsilon(noise_multiplier: float, steps: int, delta: float, share: float = 1.0) -> float:
    """Return the epsilon, at this delta, of so many noisy sums one after the other: an upper bound, and 0 at least.

    In each step an example takes part with probability `share`, drawn for itself and anew (Poisson sampling; batches of
    a fixed size are not that). Two sets of examples are neighbours if one has one example more. Rényi divergences of
    the steps add up; of each order follows an epsilon, and the least counts. Without noise it is infinite. The bound is
    not tight: where all take part, it is 7 to 20 % above the exact curve for epsilons from 0.2 to 40; where few do, an
    epsilon beyond 10 can come out twice as large as by orders between 1 and 2.

    Sources: Mironov, "Rényi differential privacy", 2017, IEEE CSF; of a sampled step Mironov, Talwar and Zhang, "Rényi
    differential privacy of the sampled Gaussian mechanism", 2019, arXiv 1908.10530; from there to epsilon Canonne,
    Kamath and Steinke, "The discrete Gaussian for differential privacy", 2020, NeurIPS, proposition 12, and Balle et
    al., "Hypothesis testing interpretations and Rényi differential privacy", 2020, AISTATS.
    """
    _check(steps, delta, share)
    _check_noise(noise_multiplier)
    if noise_multiplier == 0:
        return math.inf
    bounds = steps * renyi_divergence(noise_multiplier, share)
    bounds += ((ORDERS - 1) / ORDERS).log() - (math.log(delta) + ORDERS.log()) / (ORDERS - 1)
    return max(0.0, bounds.min().item())


def renyi_divergence(noise_multiplier: float, share: float = 1.0) -> torch.Tensor:
    """Return the Rényi divergence of one step, float64, for each of the `ORDERS`.

    With all examples it is `a / (2 s^2)` for order a and noise multiplier s. With a share q it is
    `1 / (a - 1) log sum over k from 0 to a of (a choose k) (1 - q)^(a - k) q^k e^((k^2 - k) / (2 s^2))`.
    """
    variance = noise_multiplier**2
    if share == 1:
        return ORDERS / (2 * variance)
    a, k = ORDERS[:, None], torch.arange(ORDERS.max() + 1, dtype=torch.float64)  # [orders, 1] and [largest + 1]
    terms = _log_binomials() + (a - k) * math.log1p(-share) + k * math.log(share) + (k * k - k) / (2 * variance)
    return terms.logsumexp(1) / (ORDERS - 1)


@functools.cache
def _log_binomials() -> torch.Tensor:
    """Return log (a choose k), float64 `[orders, largest + 1]`; of none, k > a, it is minus infinity."""
    a, k = ORDERS[:, None], torch.arange(ORDERS.max() + 1, dtype=torch.float64)
    choose = torch.lgamma(a + 1) - torch.lgamma(k + 1) - torch.lgamma((a - k).clamp(min=0) + 1)
    return choose.masked_fill(k > a, -math.inf)


def noise_for(target: float, steps: int, delta: float, share: float = 1.0) -> float:
    """Return the least noise multiplier for which `epsilon` is at most `target`, by bisection; 0 for infinity."""
    if not target > 0:
        raise ValueError(f"the target is an epsilon of {target}, but a number above 0 was expected, such as 1.0.")
    _check(steps, delta, share)
    if target == math.inf:
        return 0.0
    low, high = 0.0, 1.0
    while epsilon(high, steps, delta, share) > target:
        low, high = high, 2 * high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if epsilon(middle, steps, delta, share) > target else (low, middle)
    return high  # the end that keeps the promise


def _check(steps: int, delta: float, share: float) -> None:
    if not isinstance(steps, int) or steps < 1:
        raise ValueError(f"steps are {steps}, but a whole number of at least 1 was expected.")
    if not 0 < delta < 1:
        raise ValueError(
            f"delta is {delta}, but a probability between 0 and 1 was expected, less than one in the number of "
            "examples."
        )
    if not 0 < share <= 1:
        raise ValueError(f"the share is {share}, but a probability above 0 and up to 1 was expected; 1 takes all.")


def _check_noise(noise_multiplier: float) -> None:
    if not 0 <= noise_multiplier < math.inf:
        raise ValueError(f"the noise multiplier is {noise_multiplier}, but a number of at least 0 was expected.")
