"""Many photographs through a network that does not learn: batches side by side, batch normalisation folded, 16 bits.

Two cores that work on one batch wait for each other after every layer, and while one of them reads photographs, the
network waits. So each core has a batch of its own, which it reads and then sends through. Folding saves a pass over
memory for every convolution, and moves logits by rounding alone. Processors that multiply numbers of 16 bits (bfloat16)
do so up to the head, in half of the time: features move by about a hundredth of their size. Others compute in 32.
"""

from collections.abc import Callable

import torch
from torch import nn

from tlcourse.evaluation.predict import evaluation_mode
from tlcourse.models.compression.folding import fold_batchnorm
from tlcourse.repro import generator
from tlcourse.training.parallel import side_by_side
from tlcourse.transfer.heads import get_classifier

AT_A_TIME = 4  # photographs in a batch; for what layers make of more, threads get fresh memory from the system
ON_A_GPU = 32  # of whose many cores a few photographs would keep most idle
FOLDED_FROM = 200  # photographs; folding takes about as long as it saves on 64


def one_pass(
    model: nn.Module,
    read: Callable[[torch.Tensor], torch.Tensor],
    count: int,
    side: int,
    *,
    features: bool = False,
    progress: str | None = None,
) -> torch.Tensor:
    """Return logits of `count` photographs, or what the head sees of them: float32 `[count, ...]` on the CPU.

    `read` gives those of some numbers as the network takes them, float32 `[B, 3, side, side]`, and is called in
    several threads. The network's own mode is put back afterwards. `progress` names a bar, None shows none.
    """
    with evaluation_mode(model) as device:
        rows = torch.arange(count).split(AT_A_TIME if device.type == "cpu" else ON_A_GPU)
        network = _folded(model, side) if count >= FOLDED_FROM and device.type == "cpu" else model
        head = nn.Identity() if features else get_classifier(network)
        short = multiplies_bfloat16(device)

        @torch.no_grad()  # not inference_mode: features are learned from
        def answer(some: torch.Tensor) -> torch.Tensor:
            x = read(some).to(device).contiguous(memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16, enabled=short):
                seen = network.forward_features(x)
            return head(seen.float()).cpu()  # in 32 bits, so that no two classes get the same number

        first = answer(rows[0])  # of which every core takes a part
        # One block for all: answers of their own would lie between what layers need, and keep it from being used again.
        answers = first.new_empty(count, *first.shape[1:])
        answers[rows[0]] = first

        def keep(some: torch.Tensor) -> None:
            answers[some] = answer(some)

        side_by_side(keep, [(some,) for some in rows[1:]], progress is not None, progress or "")
        return answers


def multiplies_bfloat16(device: torch.device) -> bool:
    """Say whether this is a processor with instructions for bfloat16, AVX512-BF16 or AMX, with which it is faster.

    Without them, PyTorch computes in bfloat16 too, but slower than in 32 bits.
    """
    if device.type != "cpu" or not hasattr(torch.cpu, "get_capabilities"):  # an older PyTorch does not say
        return False
    able = torch.cpu.get_capabilities()
    return able.get("avx512_bf16", False) or able.get("amx_bf16", False)


def _folded(model: nn.Module, side: int) -> nn.Module:
    """Return a copy without batch normalisation, or the network itself where folding would change its answers."""
    noise = torch.randn(1, 3, side, side, generator=generator("folding"))
    try:
        return fold_batchnorm(model, noise).to(memory_format=torch.channels_last)
    except ValueError:
        return model
