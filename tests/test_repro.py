import pytest
import torch

from tlcourse.repro import describe_machine, generator, pick_device, seeded


def test_same_keys_same_stream_other_keys_another():
    def draw(*keys):
        return torch.rand(4, generator=generator(*keys))

    assert torch.equal(draw("a", 1), draw("a", 1))
    assert not torch.equal(draw("a", 1), draw("a", 2))
    assert not torch.equal(draw("a", 1), draw("b", 1))
    assert not torch.equal(draw(1, 23), draw(12, 3))


def test_seeded_repeats_inside_and_restores_outside():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    with seeded(7):
        first = torch.rand(2)
    assert torch.equal(torch.rand(2), expected)
    with seeded(7):
        assert torch.equal(torch.rand(2), first)


def test_device_can_be_chosen(monkeypatch):
    monkeypatch.setenv("TLCOURSE_DEVICE", "cpu")
    assert pick_device().type == "cpu"
    monkeypatch.delenv("TLCOURSE_DEVICE")
    assert pick_device().type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["abacus", "cuda:99"])
def test_unusable_device_says_what_to_do(monkeypatch, name):
    monkeypatch.setenv("TLCOURSE_DEVICE", name)
    with pytest.raises(ValueError, match=f"TLCOURSE_DEVICE is '{name}'.*Expected 'cpu'.*Unset"):
        pick_device()


def test_machine_is_described_in_words():
    text = describe_machine()
    assert torch.__version__ in text
    assert ("the GPU" if torch.cuda.is_available() else f"{torch.get_num_threads()} threads") in text
