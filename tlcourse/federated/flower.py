"""The same federation on Flower, an engine for federated learning: `pip install 'tlcourse[federated]'` brings it.

A Flower client is an app that answers messages: here with `Home.train`. A Flower strategy says what a server does in a
round: here `refusal`, then `weighted_mean`. Between them is a grid, which carries messages: over the network in
Flower's own, by calling a function in `InProcess`.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from tlcourse.federated.fedavg import Update, refusal, weighted_mean
from tlcourse.federated.federation import ClientLostError, Federation, Round, megabytes
from tlcourse.federated.home import Home
from tlcourse.storage import Tensors

try:
    from flwr.app import ArrayRecord, ConfigRecord, Context, Error, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp
    from flwr.serverapp import Grid
    from flwr.serverapp.strategy import FedAvg as FlowerFedAvg
    from flwr.supercore.run import Run
    from flwr.supercore.task_identity import TaskIdentity
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"Flower was asked for, but {missing.name!r} is not installed. It is an optional part of the course: "
        "python -m pip install 'tlcourse[federated]' brings it; Federation does the same rounds without it.",
        name=missing.name,
    ) from missing

LOG = logging.getLogger("flwr")


def client_app(home_of: Callable[[Context], Home]) -> ClientApp:
    """Return the app that runs where the images are; `home_of` opens the home of the node whose context it is given.

    What stays at home, as by FedBN, is laid into the context's state, which Flower never sends: a home may be opened
    anew for every round.
    """
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        home = home_of(context)
        if "kept" in context.state:
            home.kept = context.state["kept"].to_torch_state_dict()
        shared, config = message.content["arrays"].to_torch_state_dict(), message.content["config"]
        update = home.train(shared, config["round"])
        context.state["kept"] = ArrayRecord(home.kept)
        return Message(packed(update, home.client.name), reply_to=message)

    return app


def packed(update: Update, name: str) -> RecordDict:
    """Return a client's update, and the name by which it is known, as Flower sends them."""
    numbers = MetricRecord({"images": update.images, "loss": update.loss})
    return RecordDict({"arrays": ArrayRecord(update.state), "metrics": numbers, "client": ConfigRecord({"name": name})})


def unpacked(answer: RecordDict) -> Update:
    """Return the update that a client sent."""
    numbers = answer["metrics"]
    return Update(dict(answer["arrays"].to_torch_state_dict()), numbers["images"], numbers["loss"])


class WeightedMean(FlowerFedAvg):
    """Flower's FedAvg with the mean of the course: counters stay integers, and one bad update costs one update.

    Flower's own mean would turn counters into fractions, let one client's NaN into every weight, and end the run where
    a client sends other names. The first round waits until `clients` are there; a later one takes whoever is.
    `history` has a `Round` for each; a client that never answered is listed by its number. Rounds are counted on from
    `before`.
    """

    def __init__(self, clients: int, before: int = 0) -> None:
        super().__init__(min_train_nodes=clients, min_available_nodes=clients)
        self.before = before
        self.history: list[Round] = []
        self.names: dict[int, str] = {}  # by node
        self.asked: list[int] = []  # the nodes of the present round
        self.shared: Tensors = {}  # what they were sent

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> list[Message]:
        """Send the weights to the clients of a round."""
        if server_round > 1:
            self.min_train_nodes = self.min_available_nodes = 1
        config["round"] = self.before + server_round
        self.shared = dict(arrays.to_torch_state_dict())
        messages = list(super().configure_train(server_round, arrays, config, grid))
        self.asked = sorted(message.metadata.dst_node_id for message in messages)
        return messages

    def configure_evaluate(self, *_: object) -> list[Message]:
        """Evaluate nothing at the clients: the course measures on images that no client has."""
        return []

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Average the good updates of a round, and write down what happened; None where there is no good one."""
        answers = {reply.metadata.src_node_id: reply for reply in replies}
        for node in [node for node, reply in answers.items() if reply.has_error()]:
            LOG.warning("round %d: node %d is lost: %s", server_round, node, answers.pop(node).error.reason)
        updates, refused = self._sorted_out(answers)
        losses = {name: update.loss for name, update in updates.items()}
        lost = tuple(self.names.get(node, f"node {node}") for node in self.asked if node not in answers)
        traffic = (len(self.asked) + len(answers)) * megabytes(self.shared)
        self.history.append(Round(self.before + server_round, losses, lost, refused, traffic))
        return (ArrayRecord(weighted_mean(list(updates.values()))) if updates else None), None

    def _sorted_out(self, answers: dict[int, Message]) -> tuple[dict[str, Update], dict[str, str]]:
        """Return by name the updates that may be averaged, and why others may not be."""
        updates, refused = {}, {}
        for node in sorted(answers):
            name, update, reason = self._judged(node, answers[node].content)
            if reason or name in updates:
                refused[name] = reason or "another client of this round has the same name"
            else:
                updates[name] = update
        return updates, refused

    def _judged(self, node: int, answer: RecordDict) -> tuple[str, Update | None, str | None]:
        """Return who answered, with what, and why it may not be averaged, or None."""
        try:
            name = self.names[node] = str(answer["client"]["name"])
            update = unpacked(answer)
        except Exception as error:  # whatever came over the network: it costs its sender's part in the round only
            return self.names.get(node, f"node {node}"), None, f"its answer cannot be read: {error!r}"
        return name, update, refusal(update, self.shared)


class InProcess(Grid):
    """A Flower grid that calls the client app itself, one client after the other: for a notebook, and for tests.

    The node of client i (from 0) is i + 1, and its node config says `client=i`.
    """

    def __init__(self, app: ClientApp, clients: int) -> None:
        # whoever writes a message says who it is; elsewhere, Flower's processes set this when they start
        TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 0
        self.app = app
        self.contexts = {i + 1: Context(0, i + 1, {"client": i}, RecordDict(), {}) for i in range(clients)}
        self.answers: list[Message] = []

    @property
    def run(self) -> Run:
        return self._run

    def set_run(self, run: Run) -> None:
        self._run = run

    def create_message(self, content: RecordDict, message_type: str, dst_node_id: int, *rest: object) -> Message:
        return Message(content, dst_node_id, message_type)

    def get_node_ids(self) -> list[int]:
        return list(self.contexts)

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        first = len(self.answers)
        self.answers += [self._answer(message) for message in messages]
        return [str(number) for number in range(first, len(self.answers))]

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        return [self.answers[int(number)] for number in message_ids]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        return [self._answer(message) for message in messages]

    def _answer(self, message: Message) -> Message:
        """Return what the client app says, or an error as the network would bring it for a client that is lost."""
        try:
            return self.app(message, self.contexts[message.metadata.dst_node_id])
        except ClientLostError as error:
            return Message(Error(code=0, reason=f"lost: {error}"), reply_to=message)


def rounds(federation: Federation, count: int) -> list[Round]:
    """Do so many rounds of a federation on Flower, in this process, and return what happened in each.

    Afterwards the federation stands where `federation.rounds(count)` would have left it, and either may go on. Raises
    ValueError where only some clients take part in a round, as Flower draws them in a way of its own.
    """
    names = list(federation.homes)
    if federation.per_round < len(names):
        raise ValueError(
            f"{federation.per_round} of {len(names)} clients a round were asked for. Expected all, per_round=None: "
            "Flower draws clients in a way of its own."
        )
    app = client_app(lambda context: federation.homes[names[context.node_config["client"]]])
    strategy = WeightedMean(len(names), before=federation.done)
    with _quiet():
        result = strategy.start(InProcess(app, len(names)), ArrayRecord(federation.shared), count)
    if result.arrays:
        federation.shared = result.arrays.to_torch_state_dict()
    federation.done += count
    return strategy.history


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Flower from writing a page for every round; errors still appear."""
    before = LOG.level
    LOG.setLevel(logging.ERROR)
    try:
        yield
    finally:
        LOG.setLevel(before)
