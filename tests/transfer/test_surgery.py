import pytest
import torch
import torch.nn.functional as F

from tlcourse.models.pretrained import pretrained
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.models.variants import FOREIGN_NAMES, TinyResNetVariant, foreign_weights
from tlcourse.transfer.surgery import ACTIONS, adapt_input, put_in_corner, rename, strip_prefix, transplant

CONV = "stem.0.weight"


@pytest.fixture(scope="module")
def letters():
    return pretrained("tiny_resnet", "letters").eval()


@pytest.fixture(scope="module")
def grey():
    return torch.rand(4, 1, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1


def same(a, b):
    return list(a) == list(b) and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("network", ["tiny_resnet", "small_cnn"])
def test_foreign_names_and_back(network):
    foreign = foreign_weights(network)
    own = pretrained(network, "letters").state_dict()
    assert not set(foreign) & set(own)
    back = {new: old for old, new in FOREIGN_NAMES[network].items()}
    assert same(rename(strip_prefix(foreign), back), own)


@pytest.mark.parametrize("channels", [2, 3, 5])
def test_grey_to_colour_gives_the_same_on_grey_pictures(grey, channels):
    weight = torch.randn(8, 1, 5, 5, generator=torch.Generator().manual_seed(1))
    adapted = adapt_input(weight, channels)
    assert adapted.shape == (8, channels, 5, 5)
    out = F.conv2d(grey.expand(-1, channels, -1, -1), adapted)
    assert torch.allclose(out, F.conv2d(grey, weight), atol=1e-5)
    assert torch.allclose(adapt_input(adapted, 1), weight, atol=1e-6)  # there and back


def test_the_whole_network_gives_the_same_in_grey_and_back_in_colour(letters, grey):
    """Scores on grey pictures, repeated in three channels: first a grey network, then a colour one made from that."""
    expected = letters(grey.expand(-1, 3, -1, -1))
    grey_net, colour_net = TinyResNetVariant(35, channels=1).eval(), TinyResNet(35).eval()
    weights, _ = transplant(letters.state_dict(), grey_net.state_dict(), first_conv=CONV)
    grey_net.load_state_dict(weights)
    assert torch.allclose(grey_net(grey), expected, atol=1e-4)
    back, _ = transplant(weights, colour_net.state_dict(), first_conv=CONV)
    colour_net.load_state_dict(back)
    assert torch.allclose(colour_net(grey.expand(-1, 3, -1, -1)), expected, atol=1e-4)
    coloured = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    assert not torch.allclose(colour_net(coloured), letters(coloured), atol=0.1)  # colour itself was lost on the way


@pytest.mark.parametrize("keep_output", [True, False])
def test_the_block_lies_in_the_corner(keep_output):
    small, large = torch.full((2, 3, 3, 3), 5.0), torch.full((4, 5, 3, 3), 7.0)
    result = put_in_corner(small, large, keep_output)
    assert (result[:2, :3] == 5).all()
    assert (result[2:] == 7).all()
    assert (result[:2, 3:] == (0 if keep_output else 7)).all()
    assert (large == 7).all()
    assert put_in_corner(torch.ones(2), torch.zeros(4)).tolist() == [1, 1, 0, 0]
    assert put_in_corner(torch.tensor(3), torch.tensor(0)).item() == 3


def test_a_wider_network_begins_exactly_as_good(letters):
    x = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    wide = TinyResNetVariant(35, width=2).eval()
    weights, steps = transplant(letters.state_dict(), wide.state_dict())
    ours = wide.state_dict()
    loud = {n: put_in_corner(t, ours[n].clone(), keep_output=False) for n, t in letters.state_dict().items()}
    wide.load_state_dict(loud)
    assert not torch.allclose(wide(x), letters(x), atol=0.1)  # without silencing it is another network
    wide.load_state_dict(weights)
    assert torch.allclose(wide(x), letters(x), atol=1e-4)
    assert torch.allclose(wide.forward_features(x)[:, :128], letters.forward_features(x), atol=1e-5)
    assert wide.forward_features(x)[:, 128:].std() > 0  # the new channels do compute something of their own
    assert {step.action for step in steps} == {"copied", "adapted"}


def test_every_tensor_is_accounted_for_once(letters):
    target = TinyResNet(10)
    own = {name: tensor.clone() for name, tensor in target.state_dict().items()}
    theirs = dict(letters.state_dict())
    theirs["extra"] = theirs.pop("block2.bn1.bias")
    weights, steps = transplant(theirs, target.state_dict(), skip=["stem."])
    by_name = {step.name: step for step in steps}
    assert len(by_name) == len(steps) == len(own) + 1
    assert {step.action for step in steps} == set(ACTIONS) - {"adapted"}
    assert by_name["block2.bn1.bias"].action == "fresh"
    assert by_name["extra"].action == by_name["head.weight"].action == by_name[CONV].action == "skipped"
    assert by_name["head.weight"].theirs == (35, 128)
    assert by_name["head.weight"].ours == (10, 128)
    assert by_name["extra"].ours is None
    for name, tensor in weights.items():
        expected = theirs[name] if by_name[name].action == "copied" else own[name]
        assert torch.equal(tensor, expected), name
    target.load_state_dict(weights)


ONE = torch.zeros(1)
NO_PREFIX = r"names do not begin with 'module\.'.*strip what they share"
NO_CORNER = r"cannot lie in the corner.*none smaller, and the same kernel"


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (strip_prefix, ({"module.a": ONE, "b": ONE},), NO_PREFIX),
        (strip_prefix, ({"module.": ONE},), NO_PREFIX),
        (strip_prefix, ({},), NO_PREFIX),
        (rename, ({"conv1.weight": ONE}, {"conv": "stem"}), r"key map's \['conv'\] fit no name.*conv1\.weight"),
        (rename, ({"a.b": ONE, "c.b": ONE}, {"a": "c"}), r"two tensors would be called \['c\.b'\], and one would be"),
        (adapt_input, (torch.zeros(4, 3, 3), 1), "Expected that of a convolution"),
        (adapt_input, (torch.zeros(4, 3, 3, 3), 4), r"takes 3 channels and shall take 4.*Go through grey"),
        (adapt_input, (torch.zeros(4, 3, 3, 3), 0), "for 0 channels"),
        (put_in_corner, (torch.zeros(4, 3), torch.zeros(2, 3)), NO_CORNER),
        (put_in_corner, (torch.zeros(4), torch.zeros(4, 1)), NO_CORNER),
        (put_in_corner, (torch.zeros(2, 3, 3, 3), torch.zeros(4, 6, 5, 5)), NO_CORNER),
        (TinyResNetVariant, (10, 0), "Expected at least 1 channel, and a width"),
        (TinyResNetVariant, (10, 3, 0), "Expected at least 1 channel, and a width"),
        (TinyResNetVariant(10, 1), (torch.zeros(2, 3, 32, 32),), r"\[B, 1, H, W\] were.*makes colour grey"),
    ],
)
def test_what_has_no_rule_is_refused(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)
