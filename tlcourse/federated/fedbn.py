"""FedBN: batch normalisation stays at home, as a client's images have their own mean and spread."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from tlcourse.federated.fedavg import FedAvg


class FedBN(FedAvg):
    """FedAvg in which every client keeps its own batch normalisation: weights, biases, running statistics, counters.

    There is then no network for everybody: the server has no batch normalisation that ever saw an image. Ask
    `Federation.network_of(client)`, or `Federation.network_for(images)` for someone who took no part.

    Source: Li et al., "FedBN: Federated learning on non-IID features via local batch normalization", 2021, ICLR.
    """

    def stays_at_home(self, model: nn.Module) -> set[str]:
        """Return the names of all that belongs to batch normalisation."""
        return batchnorm_names(model)


def batchnorm_names(model: nn.Module) -> set[str]:
    """Return the names in the state dict that belong to batch normalisation, with weights and statistics."""
    layers = [(name, module) for name, module in model.named_modules() if isinstance(module, _BatchNorm)]
    return {f"{name}.{inner}" for name, module in layers for inner in module.state_dict()}
