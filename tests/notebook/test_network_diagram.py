import pytest
import torch

from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.notebook.network_diagram import NAMES, PARTS, draw_network


def test_the_shapes_are_those_of_the_network():
    x, shapes = torch.zeros(1, 3, 32, 32), {}
    for name, stage in TinyResNet().stages().items():
        x = stage(x)
        shapes[name] = tuple(x.shape[1:])
    assert shapes == PARTS


def test_every_part_says_what_happens_to_it(ax):
    text = draw_network(ax, frozen=["stem", "block1"], new=["head"], classes=35)
    written = [label.get_text() for label in ax.texts]
    assert [word for word in written if word in NAMES] == list(NAMES)
    assert written.count("frozen") == 2
    assert written.count("carried over") == 3
    assert written.count("new") == 1
    assert "35 scores" in written
    assert "stem frozen, block1 frozen, block2 carried over" in text
    assert text.endswith("head new.")


@pytest.mark.parametrize(
    ("frozen", "new", "message"),
    [
        (["trunk"], [], "Expected lists of names from: stem, block1"),
        ("stem", [], "frozen='stem'"),
        (["head"], ["head"], "head would be new and frozen"),
    ],
)
def test_what_cannot_be_drawn(ax, frozen, new, message):
    with pytest.raises(ValueError, match=message):
        draw_network(ax, frozen=frozen, new=new)
