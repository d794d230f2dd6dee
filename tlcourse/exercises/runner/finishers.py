"""What a check may ask about a result that cannot leave the sandbox, such as a network."""

from collections.abc import Callable

from torch import nn

from tlcourse.data.imageset import ImageSet
from tlcourse.evaluation.predict import predict
from tlcourse.transfer.freezing import trainable


def network_report(network: object, images: ImageSet) -> dict[str, object]:
    """Say what a trained network answers and what it is made of; the images' labels are not looked at.

    Returns `type`; for a network that takes images also `scores` (float32 `[N, C]`), `state` (its state dict) and
    `trainable` (names of the parameters that may move); for another one `complaint`.
    """
    if not isinstance(network, nn.Module):
        return {"type": type(network).__name__}
    try:
        scores = predict(network, images)
    except (RuntimeError, AttributeError) as error:  # what was returned does not take images
        return {"type": type(network).__name__, "complaint": str(error)}
    names = {id(p): n for n, p in network.named_parameters()}
    return {
        "type": type(network).__name__,
        "scores": scores,
        "state": {name: tensor.cpu() for name, tensor in network.state_dict().items()},
        "trainable": [names[id(p)] for p in trainable(network)],
    }


FINISHERS: dict[str, Callable[..., object]] = {"network_report": network_report}
