"""What runs at a client: it opens the images that its own node is told of, and trains when a message comes."""

from flwr.app import Context

from tlcourse.federated.clients import Client
from tlcourse.federated.flower import client_app
from tlcourse.federated.flower_app import settings
from tlcourse.federated.flower_app.images import images_of
from tlcourse.federated.home import Home


def open_home(context: Context) -> Home:
    """Open the home of a node: its name and its images are in the node's own config, which the server never sees."""
    run, node = context.run_config, context.node_config
    client = Client(str(node.get("name", f"node {context.node_id}")), images_of(node, tuple(run["classes"].split())))
    return Home(client, settings.network(run), settings.method(run), settings.work(run), run["seed"])


app = client_app(open_home)
