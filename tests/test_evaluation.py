import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import accuracy_score
from torch import nn

from tlcourse.data.augment import scale
from tlcourse.data.domains import load
from tlcourse.evaluation import accuracy, evaluate, extract_features, predict
from tlcourse.models.heads import get_head
from tlcourse.models.tiny_resnet import TinyResNet


@pytest.fixture(scope="module")
def images():
    return load("handwritten-photo", split="test", count=70)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return TinyResNet(10)


def test_predict_is_the_network_in_evaluation_mode(model, images):
    scores = predict(model, images, batch_size=32)
    model.eval()
    with torch.inference_mode():
        expected = model(scale(images.images))
    model.train()
    assert torch.allclose(scores, expected, atol=1e-5)
    assert scores.shape == (70, 10)


def test_nothing_moves_and_modes_come_back(model, images):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    model.train()
    model.block2.eval()
    predict(model, images)
    assert model.training
    assert not model.block2.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    model.train()


def test_modes_come_back_after_an_error(model):
    with pytest.raises(ValueError, match="Put the channels first"):
        predict(model, [(torch.zeros(2, 1, 32, 32), torch.zeros(2))])
    assert model.training


def test_accuracy_and_loss_agree_with_the_libraries(model, images):
    scores = predict(model, images)
    loss, percent = evaluate(model, images)
    assert percent == pytest.approx(100 * accuracy_score(images.labels, scores.argmax(1)))
    assert loss == pytest.approx(F.cross_entropy(scores, images.labels).item())
    assert accuracy(model, images) == percent


def test_accuracy_at_its_limits(images):
    class Knows(nn.Module):
        def __init__(self, wrong):
            super().__init__()
            self.wrong, self.unused = wrong, nn.Linear(1, 1)

        def forward(self, x):
            return F.one_hot((x[:, 0, 0, 0].long() + self.wrong) % 10, 10).float()

    labels = images.labels[:20]
    batches = [(labels[:, None, None, None].float().expand(-1, 3, 2, 2), labels)]
    assert accuracy(Knows(0), batches) == 100
    assert accuracy(Knows(1), batches) == 0


def test_features_are_what_goes_into_the_head(model, images):
    features = extract_features(model, images)
    assert features.shape == (70, 128)
    with torch.inference_mode():
        assert torch.allclose(get_head(model)(features), predict(model, images), atol=1e-5)


def test_batches_and_image_sets_give_the_same(model, images):
    batches = [(scale(images.images[:40]), images.labels[:40]), (scale(images.images[40:]), images.labels[40:])]
    assert torch.allclose(predict(model, batches), predict(model, images), atol=1e-5)


def test_nothing_to_evaluate(model):
    with pytest.raises(ValueError, match="there is nothing to evaluate"):
        accuracy(model, [])


def test_a_tensor_of_images_has_no_labels(model, images):
    with pytest.raises(TypeError, match=r"got a tensor of shape \[70, 3, 32, 32\].*call the network itself"):
        predict(model, images.images)


def test_labels_of_other_classes(images):
    with pytest.raises(ValueError, match="a label is 9, but the network tells 4 classes apart, 0 to 3"):
        accuracy(TinyResNet(4), images)
