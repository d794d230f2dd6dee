"""The tables in `results/`: what computes each from seeds, and with how many it was computed."""

from tlcourse.lessons.nb02_weight_transfer.layer_transfer import layer_transfer
from tlcourse.lessons.nb02_weight_transfer.strategies import transfer_strategies

TABLES = {"transfer_strategies": (transfer_strategies, 10), "layer_transfer": (layer_transfer, 10)}
