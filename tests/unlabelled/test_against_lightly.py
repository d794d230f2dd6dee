"""NT-Xent by another library, lightly 1.6, value and gradient; `pip install '.[oracles]'` brings it."""

import pytest
import torch

from tests.unlabelled.test_simclr import embeddings
from tlcourse.unlabelled.simclr import nt_xent

WHY = "lightly, an oracle that nothing else needs, is not installed: pip install '.[oracles]'"
losses = pytest.importorskip("lightly.loss", reason=WHY)


@pytest.mark.parametrize("temperature", [0.07, 0.5, 2.0])
@pytest.mark.parametrize("images", [2, 6, 50])
def test_nt_xent(images, temperature):
    ours, theirs = (embeddings(images, size=32).requires_grad_() for _ in range(2))
    our_loss = nt_xent(ours, temperature)
    their_loss = losses.NTXentLoss(temperature)(*theirs.chunk(2))
    assert our_loss.item() == pytest.approx(their_loss.item(), abs=1e-6)
    our_loss.backward()
    their_loss.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=1e-6)
