import pytest

from tests.weights import changed, equal
from tlcourse.data.worlds import load
from tlcourse.models.pretrained import pretrained
from tlcourse.training.recipe import Recipe, train
from tlcourse.training.starts import STARTS, starting_model, train_from
from tlcourse.transfer.heads import get_classifier
from tlcourse.transfer.linear_probe import linear_probe


@pytest.mark.parametrize("network", ["tiny_resnet", "small_cnn"])
def test_starts_differ_in_their_weights_alone(network):
    scratch, probe, tuned = (starting_model(start, 0, network=network) for start in STARTS)
    source = pretrained(network, "letters")
    head = [f"{source.head_name}.weight", f"{source.head_name}.bias"]
    assert type(scratch) is type(probe) is type(tuned)
    assert changed(probe, source.state_dict()) == set(head) < changed(scratch, source.state_dict())
    assert equal(tuned, probe)
    assert get_classifier(scratch).out_features == get_classifier(tuned).out_features == 10
    assert {p.requires_grad for p in tuned.parameters()} == {True}
    assert [n for n, p in probe.named_parameters() if p.requires_grad] == head


@pytest.mark.parametrize("start", STARTS)
def test_learning_from_a_start_is_the_recipe_or_for_the_probe_the_best_head(start):
    few, short = load("handwritten-photo").few(2), Recipe(epochs=1, steps=2, batch=10)
    learned = train_from(start, few, short, seed=3)
    expected = starting_model(start, 3)
    if start == "linear probe":
        linear_probe(expected, few)
    else:
        train(expected, few, short, seed=3)
    assert equal(learned, expected)
