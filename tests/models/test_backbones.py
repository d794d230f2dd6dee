"""Every image classifier of torchvision gets the course's surface, and its numbers stay those of torchvision."""

import contextlib
import hashlib
import shutil
from collections import Counter
from pathlib import Path
from unittest import mock

import pytest
import torch
from torch import nn
from torchvision.models import WeightsEnum, get_model, get_model_weights, regnet

from tlcourse.data.downloads import DownloadError
from tlcourse.data.imageset import ImageSet
from tlcourse.data.transforms import Preprocessing
from tlcourse.models.backbone_weights import file_names, licence, published_as
from tlcourse.models.torchvision_backbones import (
    OPTIONS,
    backbone,
    backbone_facts,
    backbone_names,
)
from tlcourse.repro import generator, seeded
from tlcourse.storage import save_tensors
from tlcourse.training.checkpoint import copy_weights
from tlcourse.training.loop import fit
from tlcourse.transfer.freezing import layerwise_lr, parameter_groups
from tlcourse.transfer.heads import get_classifier

# one small network of each kind, and the side of images that it is tried on
KINDS = {
    **{"alexnet": 63, "densenet121": 29, "resnet18": 33, "mobilenet_v2": 32, "regnet_y_400mf": 32},
    **{"mobilenet_v3_small": 32, "shufflenet_v2_x0_5": 32, "mnasnet0_5": 32, "efficientnet_b0": 33},
    **{"convnext_tiny": 32, "vit_b_32": 224, "swin_t": 32, "swin_v2_t": 40, "maxvit_t": 224},
}
NAME = "shufflenet_v2_x0_5"


@contextlib.contextmanager
def no_first_weights():
    """Leave new weights as they are in memory: drawing millions that will be overwritten takes most of the time."""
    names = [name for name in vars(nn.init) if name.endswith("_") and not name.startswith("_")]
    with mock.patch.multiple(nn.init, **dict.fromkeys(names, lambda tensor, *args, **options: tensor)):
        yield


@torch.no_grad()
def random_net(name, classes=5, side=32, **options):
    """A network of torchvision with random weights whose scores depend on the image, as those of most do not."""
    with no_first_weights():
        net = get_model(name, weights=None, num_classes=classes, **(OPTIONS.get(name, {}) | options))
    draws = generator("net", name)
    for key, weight in net.named_parameters():
        if weight.ndim > 1:
            bound = (6 / weight[0].numel()) ** 0.5  # variance 2 / fan-in
            weight.uniform_(-bound, bound, generator=draws)
        elif key.endswith("weight"):
            weight.uniform_(0.5, 1.5, generator=draws)
        else:
            weight.uniform_(-0.1, 0.1, generator=draws)
    return wake_up(net, side)


def wake_up(net, side):
    """Let batch normalisation see some images, so that the signal does not fade on its way through random layers."""
    norms = [layer for layer in net.eval().modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in norms:
        layer.momentum = 1.0
        layer.train()
    if norms and side < 100:  # MaxViT takes nothing smaller and is slow, but its signal does not fade
        with torch.no_grad():
            net(images(side, 16, seed=1))
    return net.eval()


def images(side, count=2, seed=0):
    return torch.randn(count, 3, side, side, generator=generator("images", seed))


def loaded(monkeypatch, name, tensors):
    """A backbone from a file, without writing hundreds of megabytes."""
    monkeypatch.setattr("tlcourse.models.backbone_weights.read_tensors", lambda path: tensors)
    with no_first_weights():
        return backbone(name, weights="any.pth").eval()


@pytest.fixture
def small():
    with seeded("small"):
        return wake_up(backbone(NAME, 4, weights=None), 32)


@pytest.fixture
def on_meta(monkeypatch):
    """Networks without memory behind them: shapes and names are real, and 600 million weights cost nothing."""
    original = regnet.BlockParams.from_init_params.__func__

    def with_numbers(cls, *args, **options):  # RegNet computes its widths with tensors, which must hold numbers
        with torch.device("cpu"):
            return original(cls, *args, **options)

    monkeypatch.setattr(regnet.BlockParams, "from_init_params", classmethod(with_numbers))
    with no_first_weights():
        yield torch.device("meta")


# The whole registry


@pytest.mark.parametrize("name", backbone_names())
def test_every_network_of_the_registry(name, on_meta):
    with on_meta:
        model = backbone(name, 7, weights=None).eval()
        x = torch.empty(2, 3, model.side, model.side)
    received = []
    get_classifier(model).register_forward_hook(lambda head, inputs, scores: received.append(inputs[0].shape))
    with torch.no_grad():
        assert model(x).shape == (2, 7)
    assert received == [(2, model.num_features)]
    assert model.preprocessing == Preprocessing.for_weights(name)
    assert model.preprocessing.crop >= model.side
    assert not [key for key in model.state_dict() if "aux" in key.lower()]
    check_stages(model)
    assert backbone_facts(name).parameters > 1e6


def check_stages(model):
    """Every parameter is in one stage or the head, and stages follow the order in which the parameters were made."""
    stages = model.stages()
    assert list(stages) in ([f"stage{n}" for n in range(1, count + 1)] for count in (3, 4, 5, 6))
    places = Counter(id(p) for part in (*stages.values(), get_classifier(model)) for p in part.parameters())
    assert places == Counter(id(p) for p in model.parameters())
    groups = parameter_groups(model, layerwise_lr(model, 1e-2))
    assert all(group["params"] for group in groups)
    order = {id(p): position for position, p in enumerate(model.parameters())}
    first = [min(order[id(p)] for p in part.parameters()) for part in stages.values()]
    assert first == sorted(first)
    statistics = {id(m) for m in model.modules() if isinstance(m, nn.BatchNorm2d)}
    assert statistics == {id(m) for part in stages.values() for m in part.modules() if isinstance(m, nn.BatchNorm2d)}


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("resnet18", [["conv1", "bn1"], ["layer1"], ["layer2"], ["layer3"], ["layer4"]]),
        ("convnext_tiny", [*([f"features.{2 * k}", f"features.{2 * k + 1}"] for k in range(4)), ["classifier"]]),
        ("googlenet", [["conv1"], ["conv2", "conv3"], ["inception3a", "inception3b"],
            [f"inception4{c}" for c in "abcde"], ["inception5a", "inception5b"]]),
    ],
)  # fmt: skip
def test_stages_are_where_one_would_look_for_them(name, stages, on_meta):
    with on_meta:
        model = backbone(name, weights=None)
    names = {id(module): path for path, module in model.body.named_modules()}
    assert [[names[id(piece)] for piece in part] for part in model.stages().values()] == stages


# The numbers are torchvision's


@pytest.mark.parametrize("name", KINDS)
def test_scores_are_torchvisions(name, monkeypatch):
    net, x = random_net(name, side=KINDS[name]), images(KINDS[name])
    model = loaded(monkeypatch, name, net.state_dict())
    received = []
    model.head.register_forward_hook(lambda head, inputs, scores: received.append(inputs[0]))
    with torch.no_grad():
        wanted, scores = net(x), model(x)
    assert (wanted[0] - wanted[1]).abs().max() > 1e-3  # scores that are the same for all images would prove nothing
    assert torch.allclose(scores, wanted, rtol=1e-5, atol=1e-6)
    assert received[0].shape == (2, model.num_features)
    assert model.preprocessing == Preprocessing.for_weights(name)


def test_squeezenets_own_head_sees_the_average_of_what_it_saw_place_by_place(monkeypatch):
    net, x = random_net("squeezenet1_1", side=40), images(40)
    model = loaded(monkeypatch, "squeezenet1_1", net.state_dict())
    with torch.no_grad():
        at_places = net.classifier[1](net.features(x))
        assert at_places.shape[2:] == (2, 2)
        assert torch.allclose(model(x), at_places.mean((2, 3)), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "side"), [("googlenet", 32), ("inception_v3", 75)])
def test_auxiliary_heads_stay_behind(name, side, monkeypatch):
    tensors = random_net(name, 1000, side, aux_logits=True).state_dict()
    assert [key for key in tensors if key.lower().startswith("aux")]
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda self, **options: tensors)
    with no_first_weights():
        net = get_model(name, weights="DEFAULT").eval()  # as torchvision itself would load them
    x = images(side)
    model = loaded(monkeypatch, name, tensors)
    with torch.no_grad():
        assert torch.allclose(model(x), net(x), rtol=1e-5, atol=1e-6)
        assert model.train()(x).shape == (2, 1000)  # one tensor in training too, not two or three


# Images


@pytest.mark.parametrize(
    ("name", "side", "message"),
    [
        ("vit_b_32", 192, "exactly 224 x 224"),
        ("maxvit_t", 256, "exactly 224 x 224"),
        ("inception_v3", 74, "at least 75 x 75"),
        ("swin_t", 31, "at least 32 x 32"),
        ("alexnet", 62, "at least 63 x 63"),
    ],
)
def test_sizes_that_a_network_does_not_take(name, side, message, on_meta):
    with on_meta:
        model, x = backbone(name, weights=None), torch.empty(1, 3, side, side)
    with pytest.raises(ValueError, match=rf"{name} got images of shape \[1, 3, {side}, {side}\].*{message}"):
        model(x)


def test_images_of_another_kind(small):
    assert small.eval()(torch.zeros(1, 3, 32, 50)).shape == (1, 4)
    with pytest.raises(TypeError, match=r"torch.uint8 images, but normalised floats.*model.preprocessing"):
        small(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    for shape in ((1, 1, 32, 32), (3, 32, 32), (1, 32, 32, 3), (1, 3, 0, 50)):
        with pytest.raises(ValueError, match=r"\[B, 3, H, W\]"):
            small(torch.zeros(shape))


# Freezing, rates, training


def data_set(classes=4, count=16):
    raw = torch.randint(256, (count, 3, 32, 32), generator=generator("training"), dtype=torch.uint8)
    return ImageSet(raw, torch.arange(count) % classes, tuple("abcd"[:classes]))


def test_training_goes_back_to_the_best_weights():
    """MNASNet refuses a dict that does not say its version, as a copy of its own weights does not."""
    with seeded("mnasnet"):
        model = backbone("mnasnet0_5", 4, weights=None)
    data = data_set()
    history = fit(model, data.batches(8), epochs=2, validation=data, patience=2, progress=False, device="cpu")
    assert len(history) == 2
    with pytest.raises(RuntimeError, match=r"Missing key.*head\.bias"):
        model.load_state_dict({key: value for key, value in copy_weights(model).items() if key != "head.bias"})


# Files


@pytest.mark.parametrize("file", ["net.pth", "net.safetensors"])
@pytest.mark.parametrize("whose", ["torchvision's", "the course's"])
def test_a_state_dict_with_other_classes(tmp_path, file, whose):
    net, x = random_net(NAME, 6), images(32)
    path = save_tensors(tmp_path / file, net.state_dict())
    if whose == "the course's":
        path = save_tensors(path, backbone(NAME, weights=path).state_dict())
    assert torch.equal(backbone(NAME, weights=path).eval()(x), net(x))
    fresh = backbone(NAME, 3, str(path)).eval()
    assert fresh(x).shape == (2, 3)
    net.fc = nn.Identity()
    assert torch.equal(fresh.forward_features(x), net(x))


def test_a_head_that_is_replaced_anyway_need_not_be_there(tmp_path):
    net, x = random_net(NAME), images(32)
    net.fc = nn.Identity()
    path = save_tensors(tmp_path / "w.pth", net.state_dict())
    assert torch.equal(backbone(NAME, 3, path).eval().forward_features(x), net(x))


def test_old_files(monkeypatch):
    """DenseNet's names had one dot more, and batch normalisation did not count its batches."""
    net, x = random_net("densenet121"), images(29)
    tensors = {
        key.replace("norm1.", "norm.1.").replace("conv2.", "conv.2."): value
        for key, value in net.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    assert any("denselayer1.norm.1.weight" in key for key in tensors)
    assert torch.equal(loaded(monkeypatch, "densenet121", tensors)(x), net(x))


def infinite(state):
    state["conv1.0.weight"][0, 0, 0, 0] = torch.inf
    return state


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        *(
            (lambda state, word=word: {word + key: state[key] for key in state}, rf'begins with "{word}", as {who}')
            for word, who in (("module.", "nn.Da"), ("_orig_mod.", "torch"), ("model.", "Light"))
        ),
        (infinite, r"w.safetensors: the weights hold numbers that are infinite, .* in body.conv1.0.weight"),
        (lambda state: {key: state[key] for key in state if key[:2] != "fc"}, r"2 are missing \(head.weight, h"),
        (lambda _: random_net("mobilenet_v3_small").state_dict(), r"w.safetensors do not fit shufflenet_v2_x0_5; noth"),
        (
            lambda _: random_net("shufflenet_v2_x1_0").state_dict(),
            r"have another shape \(body.stage2.0.branch1.2.weight \[58, 24, 1, 1\] for \[24, 2",
        ),
    ],
)
def test_weights_that_do_not_fit(tmp_path, spoil, message):
    path = save_tensors(tmp_path / "w.safetensors", spoil(random_net(NAME).state_dict()))
    with pytest.raises(ValueError, match=message) as caught:
        backbone(NAME, weights=path)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("name", "given", "error", "message"),
    [
        ("mobilenetv2", {}, ValueError, r"no backbone 'mobilenetv2'. Did you mean 'mobilenet_v2' or"),
        ("fasterrcnn_resnet50_fpn", {"weights": None}, ValueError, r"no backbone 'fasterrcnn_resnet50_fpn'"),
        ("mobilenet_v2", {"weights": "IMAGENET1K_V7"}, ValueError, r"no weights 'IMAGENET1K_V7'. .*one of: IMAGENET1K"),
        ("mobilenet_v2", {"weights": "ResNet18_Weights.DEFAULT"}, ValueError, "has no weights 'ResNet18_W"),
        ("mobilenet_v2", {"weights": {}}, TypeError, r"weights are a dict.*load_weights\(model, tensors\)"),
        ("resnet18", {"classes": 1}, ValueError, "1 classes were asked for. Expected at least 2, or None"),
    ],
)
def test_what_there_is_not(name, given, error, message):
    with pytest.raises(error, match=message):
        backbone(name, **given)


# torchvision's cache


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Weights as torchvision publishes them: the name carries the hash, and the cache holds the file."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cache = tmp_path / "hub" / "checkpoints"
    file = save_tensors(tmp_path / "made.pth", random_net(NAME, 1000).state_dict())
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:8]
    monkeypatch.setattr(get_model_weights(NAME).DEFAULT.value, "url", f"https://example.invalid/shuffle-{digest}.pth")
    cache.mkdir(parents=True)
    return Path(shutil.copy(file, cache / f"shuffle-{digest}.pth"))


def test_a_cache_that_is_there_is_used_without_network(published):
    member, x = get_model_weights(NAME).DEFAULT, images(32)
    expected = random_net(NAME, 1000)(x)
    for weights in ("DEFAULT", "IMAGENET1K_V1", "ShuffleNet_V2_X0_5_Weights.IMAGENET1K_V1", member):
        model = backbone(NAME, weights=weights).eval()
        assert torch.equal(model(x), expected)
    assert [path.name for path in published.parent.iterdir()] == [published.name]


def test_without_network_and_with_a_damaged_cache(published):
    published.write_bytes(published.read_bytes()[:-7])
    with pytest.raises(DownloadError, match=r"could not download https://example.invalid/shuffle-"):
        backbone(NAME, progress=False)
    with pytest.raises(DownloadError, match=r"Meanwhile, backbone\(\"mobilenet_v2\", weights=PATH\)") as caught:
        backbone("mobilenet_v2", progress=False)
    assert str(published.parent / "mobilenet_v2-7ebf99e0.pth") in str(caught.value)


def test_a_published_file_is_known_wherever_it_lies_and_a_renamed_one_is_not(tmp_path, monkeypatch):
    """Photographs of torchvision's first weights are resized to 256 pixels, those of its second ones to 232."""
    file = save_tensors(tmp_path / "mobilenet_v2.pth", random_net("mobilenet_v2", 1000).state_dict())
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:8]
    first = get_model_weights("mobilenet_v2")["IMAGENET1K_V1"]
    monkeypatch.setattr(first.value, "url", f"https://example.invalid/mobilenet_v2-{digest}.pth")
    named = Path(shutil.copy(file, tmp_path / f"mobilenet_v2-{digest}.pth"))
    assert published_as("mobilenet_v2", named) == "IMAGENET1K_V1"
    assert backbone("mobilenet_v2", 2, named).preprocessing.resize == 256
    assert backbone("mobilenet_v2", 2, file).preprocessing.resize == 232
    assert published_as("mobilenet_v2", file) is None
    named.write_bytes(named.read_bytes()[:-1])
    assert published_as("mobilenet_v2", named) is None
    for ending in (".pth", ".pt", ".safetensors", f"-{digest}.pth", "-7ebf99e0.pth"):
        assert f"mobilenet_v2{ending}" in file_names("mobilenet_v2")


@pytest.mark.parametrize(
    ("name", "weights", "expected"),
    [
        ("resnet18", "DEFAULT", "none stated"),
        ("vit_b_16", "IMAGENET1K_V1", "none stated"),
        ("vit_b_16", "IMAGENET1K_SWAG_E2E_V1", "CC BY-NC 4.0"),
        ("vit_h_14", "DEFAULT", "CC BY-NC 4.0"),
        ("resnet18", Path("mine.pth"), "unknown"),
    ],
)
def test_a_licence_is_said_where_it_is_known(name, weights, expected):
    assert licence(name, weights) == expected


def test_facts():
    facts = backbone_facts("mobilenet_v2")
    assert facts.parameters == sum(p.numel() for p in backbone("mobilenet_v2", weights=None).parameters())
    assert facts.top1 == pytest.approx(72.154)
    assert facts.megabytes == pytest.approx(4 * facts.parameters / 2**20, rel=0.05)
    with pytest.raises(ValueError, match=r"no backbone 'resnet19'. Did you mean 'resnet18'"):
        backbone_facts("resnet19")
