"""The picture of a fine-tuning: loss and accuracy after every epoch, and the linear probe that it began from."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from tlcourse.notebook.figures import COLOURS, GREY, MARKERS, plain
from tlcourse.photos.finetuning import Tuned


def draw_tuning(axes: Sequence[Axes], tuned: Tuned) -> str:
    """Draw loss and accuracy on validation after every epoch, the best epoch ringed, and say what came of them."""
    left, right = axes
    history, best = tuned.history, tuned.history.best_epoch
    probe = tuned.probe.validation_accuracy
    epochs = range(1, len(history) + 1)
    look = {"color": COLOURS["fine-tuned"], "marker": MARKERS["fine-tuned"], "linewidth": 2}
    left.plot(epochs, history.train_loss, "--", color=GREY, linewidth=2, label="training")
    left.plot(epochs, history.validation_loss, label="validation", **look)
    left.set_ylabel("loss of fine-tuning (nats)")
    left.set_ylim(0, 1.1 * max(history.train_loss + history.validation_loss))
    right.plot(epochs, history.validation_accuracy, label="fine-tuned", **look)
    right.axhline(probe, color=COLOURS["linear probe"], linewidth=2, linestyle=":", label="linear probe")
    right.set_ylabel("right on validation (%)")
    low = min(*history.validation_accuracy, probe)
    right.set_ylim(max(0, low - 0.25 * (100 - low) - 5), 102)
    right.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    for ax, heights in ((left, history.validation_loss), (right, history.validation_accuracy)):
        ring = {"facecolors": "none", "edgecolors": "black", "linewidths": 2, "zorder": 3, "clip_on": False}
        ax.scatter([best + 1], [heights[best]], s=160, label="lowest loss", **ring)
        ax.set_xlabel("epoch")
        ax.set_xticks(range(1, len(history) + 1, -(-len(history) // 8)))
        ax.legend(frameon=False, loc="best")
        plain(ax)
    return (
        f"Loss and accuracy on validation over {len(history)} epochs of fine-tuning. The loss is lowest after epoch "
        f"{best + 1}, at {history.validation_loss[best]:.2f} nats; {tuned.accuracy:.1f} % are then right, and "
        f"{probe:.1f} % with the linear probe. What was {tuned}."
    )
