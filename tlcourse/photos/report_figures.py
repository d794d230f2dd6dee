"""Pictures of the report on a classifier of photographs: its training, and how sure it may be."""

from matplotlib.axes import Axes

from tlcourse.notebook.figures import COLOURS, GREY, MARKERS, plain
from tlcourse.training.checkpoint import History


def draw_losses(ax: Axes, history: History) -> Axes:
    """Draw the loss of training and of validation after every epoch, and the epoch whose weights were taken."""
    epochs = range(1, len(history) + 1)
    ax.plot(epochs, history.train_loss, "--", color=GREY, linewidth=2, label="training")
    style = {"color": COLOURS["fine-tuned"], "marker": MARKERS["fine-tuned"], "linewidth": 2}
    ax.plot(epochs, history.validation_loss, label="validation", **style)
    mark_best(ax, history, history.validation_loss[history.best_epoch])
    ax.set_xlabel("epoch")
    ax.set_ylabel("loss (nats)")
    ax.set_ylim(bottom=0)
    ax.set_xticks(_few(len(history)))
    ax.legend(frameon=False, loc="lower left")
    return plain(ax)


def draw_accuracies(ax: Axes, history: History, probe: float) -> Axes:
    """Draw the accuracy on validation after every epoch, beside that of the linear probe, in percent."""
    style = {"color": COLOURS["fine-tuned"], "marker": MARKERS["fine-tuned"], "linewidth": 2}
    ax.plot(range(1, len(history) + 1), history.validation_accuracy, label="fine-tuned", **style)
    ax.axhline(probe, color=COLOURS["linear probe"], linewidth=2, linestyle=":", label="linear probe")
    mark_best(ax, history, history.validation_accuracy[history.best_epoch])
    ax.set_xlabel("epoch")
    ax.set_ylabel("accuracy on validation (%)")
    ax.set_ylim(0, 103)
    ax.set_xticks(_few(len(history)))
    ax.legend(frameon=False, loc="lower right")
    return plain(ax)


def describe_training(history: History, probe: float) -> str:
    """Say in a sentence how a training went."""
    best = history.best_epoch
    return (
        f"Loss and accuracy over {len(history)} epochs. The validation loss is lowest after epoch {best + 1}, at "
        f"{history.validation_loss[best]:.2f} nats; {history.validation_accuracy[best]:.1f} % of the validation "
        f"photographs are then right, and {probe:.1f} % with the linear probe."
    )


def mark_best(ax: Axes, history: History, height: float) -> None:
    """Put a ring around the epoch whose weights were taken."""
    ring = {"facecolors": "none", "edgecolors": "black", "linewidths": 2, "zorder": 3}
    ax.scatter([history.best_epoch + 1], [height], s=160, label="taken", **ring)


def _few(epochs: int) -> list[int]:
    """Return at most eight epochs to write on the axis."""
    step = -(-epochs // 8)
    return list(range(1, epochs + 1, step))
