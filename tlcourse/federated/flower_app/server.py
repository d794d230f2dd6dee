"""What runs at the server: it sends the first weights, and after every round writes down weights and what happened."""

import json
from pathlib import Path

from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp

from tlcourse.federated.flower import WeightedMean
from tlcourse.federated.flower_app import settings
from tlcourse.storage import save_tensors, write_atomically
from tlcourse.training.checkpoint import copy_weights

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Do the rounds of a run; beside the weights lies a file of the same name, `.jsonl`, with a line for each round."""
    run = context.run_config
    model = settings.network(run)
    private = settings.method(run).stays_at_home(model)
    start = {name: value for name, value in copy_weights(model).items() if name not in private}
    strategy = WeightedMean(run["clients"])

    def keep(number: int, arrays: ArrayRecord) -> None:
        save_tensors(run["out"], arrays.to_torch_state_dict())
        lines = [json.dumps(done._asdict()) + "\n" for done in strategy.history]
        write_atomically(Path(run["out"]).with_suffix(".jsonl"), "".join(lines).encode())

    strategy.start(grid, ArrayRecord(start), run["rounds"], timeout=run["seconds"], evaluate_fn=keep)
