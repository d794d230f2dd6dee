import pytest
import torch

from tlcourse.data.batches import Batches

PIXELS = torch.arange(10, dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 4, 4).clone()
LABELS = torch.arange(10)


def seen(batches):
    return [int(((x[:, 0, 0, 0] + 1) * 127.5).round()[i]) for x, _ in batches for i in range(len(x))]


def test_an_epoch_shows_every_image_once_with_its_label():
    batches = Batches(PIXELS, LABELS, 4)
    pairs = [(x, y) for x, y in batches]
    assert [len(y) for _, y in pairs] == [4, 4, 2] == [len(x) for x, _ in pairs]
    assert len(batches) == 3
    assert torch.cat([y for _, y in pairs]).sort().values.tolist() == list(range(10))
    assert all(torch.allclose((x[:, 0, 0, 0] + 1) * 127.5, y.float(), atol=1e-4) for x, y in pairs)


def test_epochs_differ_and_can_be_chosen():
    batches = Batches(PIXELS, LABELS, 4, seed=1)
    first, second = seen(batches), seen(batches)
    assert first != second
    batches.set_epoch(0)
    assert seen(batches) == first
    assert seen(Batches(PIXELS, LABELS, 4, seed=2)) != first


def test_steps_draw_from_endless_shuffles():
    batches = Batches(PIXELS, LABELS, 4, steps=6)
    shown = seen(batches)
    assert len(batches) == 6
    assert len(shown) == 24
    assert sorted(shown[:10]) == sorted(shown[10:20]) == list(range(10))
    assert all(shown.count(i) in (2, 3) for i in range(10))
    assert len(seen(Batches(PIXELS[:3], LABELS[:3], 9, steps=1))) == 9


@pytest.mark.parametrize("arguments", [{"size": 0}, {"size": 2, "steps": 0}])
def test_impossible_batches(arguments):
    with pytest.raises(ValueError, match="Expected at least one of each"):
        Batches(PIXELS, LABELS, **arguments)
    with pytest.raises(ValueError, match="got 0 images"):
        Batches(PIXELS[:0], LABELS[:0], 2)
