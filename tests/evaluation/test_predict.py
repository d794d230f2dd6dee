import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import accuracy_score

from tests.weights import changed, copies
from tlcourse.data.normalisation import scale
from tlcourse.data.worlds import load
from tlcourse.evaluation.predict import (
    accuracy,
    confident_mistakes,
    cross_validate,
    evaluate,
    extract_features,
    nested_selection,
    predict,
)
from tlcourse.models.tiny_resnet import TinyResNet
from tlcourse.transfer.heads import get_classifier


@pytest.fixture(scope="module")
def images():
    return load("handwritten-photo", split="test", count=70)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return TinyResNet(10)


def test_predict_is_the_network_in_evaluation_mode(model, images):
    logits = predict(model, images, batch_size=32)
    model.eval()
    with torch.inference_mode():
        expected = model(scale(images.images))
    model.train()
    assert torch.allclose(logits, expected, atol=1e-5)
    assert logits.shape == (70, 10)


def test_nothing_moves_and_modes_come_back_also_after_an_error(model, images):
    before = copies(model)
    model.train()
    model.block2.eval()
    predict(model, images)
    with pytest.raises(ValueError, match="Put the channels first"):
        predict(model, [(torch.zeros(2, 1, 32, 32), torch.zeros(2))])
    assert model.training
    assert not model.block2.training
    assert not changed(model, before)
    model.train()


def test_accuracy_and_loss_agree_with_the_libraries(model, images):
    logits = predict(model, images)
    loss, percent = evaluate(model, images)
    assert percent == pytest.approx(100 * accuracy_score(images.labels, logits.argmax(1)))
    assert loss == pytest.approx(F.cross_entropy(logits, images.labels).item())
    assert accuracy(model, images) == percent


def test_features_are_what_goes_into_the_head(model, images):
    features = extract_features(model, images)
    assert features.shape == (70, 128)
    with torch.inference_mode():
        assert torch.allclose(get_classifier(model)(features), predict(model, images), atol=1e-5)


FOLDED = torch.arange(10).repeat(6)


def test_every_fold_is_asked_once_and_never_trained_on():
    seen = []

    def score(learn, held_out):
        seen.append((learn, held_out))
        return float(len(held_out))

    assert cross_validate(score, FOLDED, folds=5, seed=3) == [12.0] * 5
    assert torch.cat([held for _, held in seen]).sort().values.tolist() == list(range(60))
    for learn, held in seen:
        assert not set(learn.tolist()) & set(held.tolist())
        assert len(learn) + len(held) == 60
        assert FOLDED[held].bincount().max() <= 2  # six images per class, five folds


def test_nested_selection_never_chooses_with_the_fold_it_reports():
    asked = []

    def score(candidate, learn, held_out):
        asked.append((candidate, set(learn.tolist()), set(held_out.tolist())))
        return {"bad": 10.0, "good": 90.0, "worse": 5.0}[candidate]

    result = nested_selection(score, ["bad", "good", "worse"], FOLDED, folds=(5, 3))
    assert result.chosen == (1,) * 5
    assert result.inner_accuracy == result.outer_accuracy == (90.0,) * 5
    assert len(asked) == 5 * (3 * 3 + 1)
    for fold in range(5):
        *inner, (winner, rest, outer) = asked[fold * 10 : fold * 10 + 10]
        assert winner == "good"
        assert not outer & rest
        for _, learn, held in inner:
            assert not (learn | held) & outer  # the choice never saw the fold
            assert learn | held == rest


def test_nothing_to_choose_among():
    with pytest.raises(ValueError, match="no candidate was given"):
        nested_selection(lambda *_: 1.0, [], FOLDED)
    with pytest.raises(ValueError, match="folds"):
        cross_validate(lambda *_: 1.0, FOLDED, folds=7)


def test_confident_mistakes_come_surest_first():
    logits = torch.tensor([[4.0, 0, 0], [0, 5, 0], [0, 1, 0], [3, 0, 0], [0, 0, 9]])
    labels = torch.tensor([0, 0, 0, 1, 2])  # right, wrong, wrong, wrong, right
    assert confident_mistakes(logits, labels, 5).tolist() == [1, 3, 2]
    assert confident_mistakes(logits, labels, 2).tolist() == [1, 3]
    assert confident_mistakes(logits, logits.argmax(1), 5).tolist() == []
    with pytest.raises(ValueError, match=r"Expected \[N, classes\] and \[N\]"):
        confident_mistakes(logits, labels[:2], 5)


def test_what_cannot_be_asked(model, images):
    with pytest.raises(ValueError, match="there is nothing to evaluate"):
        accuracy(model, [])
    with pytest.raises(TypeError, match=r"got a tensor of shape \[70, 3, 32, 32\].*call the network itself"):
        predict(model, images.images)
    with pytest.raises(ValueError, match="a label is 9, but the network tells 4 classes apart, 0 to 3"):
        accuracy(TinyResNet(4), images)
