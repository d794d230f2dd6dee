"""What a notebook shows: figures that can be read aloud, and tables that are also plain text."""

import base64
import html
import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

if TYPE_CHECKING:
    import pandas as pd

PIXELS_PER_INCH = 100  # on the page; pictures are drawn at twice that, so that they stay sharp on a projector
QUICK_PIXELS_PER_INCH = 150
HEADINGS = {"per_class": "labels per class"}  # where a column's name is not what a reader calls it


def show(figure: Figure, alt: str) -> None:
    """Show a figure with a text of a sentence or two for those who cannot see it, and close it.

    Raises ValueError when the text is too short to say anything.
    """
    display({"text/html": as_image(figure, alt), "text/plain": f"[figure: {alt}]"}, raw=True)


def drawn(size: tuple[float, float], columns: int, draw: Callable[..., str]) -> tuple[str, str]:
    """Return a picture for a page, and what it shows; `draw` gets the axes, or as many as there are columns."""
    figure = Figure(figsize=size, layout="constrained")
    alt = draw(figure.subplots(1, columns))
    return as_image(figure, alt), alt


def as_image(figure: Figure, alt: str, *, quick: bool = False) -> str:
    """Turn a figure into an HTML image with an alt text, which Jupyter does not give its own pictures, and close it.

    `quick` is for labs, where a hand waits: fewer pixels, drawn once, hardly compressed. Raises ValueError when the
    text is too short to say anything.
    """
    if len(alt) < 30:
        raise ValueError(f"the alt text is {alt!r}. Expected a sentence that says what the picture shows.")
    buffer = io.BytesIO()
    if quick:
        _draw_once(figure).save(buffer, "png", compress_level=1)
    else:
        figure.savefig(buffer, format="png", dpi=2 * PIXELS_PER_INCH, bbox_inches="tight", facecolor="white")
    width, height = (int(side * PIXELS_PER_INCH) for side in figure.get_size_inches())
    plt.close(figure)
    # a picture that replaces another keeps its place while it is decoded, so the page does not jump
    style = f"width: {width}px; max-width: 100%" + (f"; aspect-ratio: {width} / {height}" if quick else "")
    picture = base64.b64encode(buffer.getvalue()).decode()
    return f'<img alt="{html.escape(alt)}" style="{style}" src="data:image/png;base64,{picture}">'


def _draw_once(figure: Figure) -> Image.Image:
    """Draw a figure as it is; `savefig` would draw it twice or three times to find its edges."""
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(QUICK_PIXELS_PER_INCH)
    figure.set_facecolor("white")
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())


def show_table(header: Sequence[str], rows: Sequence[Sequence[object]], caption: str) -> None:
    """Show a table, as HTML in a notebook and as aligned text elsewhere; the caption says what it is, and its unit.

    Cells are shown with `str`. Raises ValueError when a row has another number of cells than the header.
    """
    cells = [[str(cell) for cell in row] for row in rows]
    if any(len(row) != len(header) for row in cells):
        raise ValueError(
            f"the header has {len(header)} columns, the rows {sorted({len(r) for r in cells})}. Expected the same."
        )
    display(
        {"text/html": table_as_html(header, cells, caption), "text/plain": table_as_text(header, cells, caption)},
        raw=True,
    )


def show_frame(frame: "pd.DataFrame | Sequence[dict[str, object]]", caption: str) -> None:
    """Show a frame or a list of rows, intervals in one column; what is open is said once, by the column `verdict`.

    Whole numbers get commas, others one decimal; a dash stands for what was not measured.
    """
    import pandas as pd  # here, because that takes a while

    from tlcourse.notebook.results import ENDS, as_texts

    frame = pd.DataFrame(frame)
    if set(ENDS) <= set(frame):
        texts = as_texts(frame.drop(columns="verdict", errors="ignore"))
        frame = frame.assign(mean=texts).rename(columns={"mean": "mean [95 % interval]"})
        frame = frame.drop(columns=["low", "high", "n"], errors="ignore")
    header = [HEADINGS.get(name, name.replace("_", " ")) for name in frame]
    show_table(header, [[_as_cell(value) for value in row] for row in frame.to_numpy(object)], caption)


def _as_cell(value: object) -> str:
    if isinstance(value, float):
        return "–" if np.isnan(value) else f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def table_as_html(header: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """Return a table as HTML, its first column aligned left and the others right."""

    def line(tag: str, row: Sequence[str]) -> str:
        sides = ["left"] + ["right"] * (len(row) - 1)
        inside = (f'<{tag} style="text-align: {s}">{html.escape(c)}</{tag}>' for c, s in zip(row, sides, strict=True))
        return f"<tr>{''.join(inside)}</tr>"

    body = "".join(line("td", row) for row in rows)
    title = f'<caption style="text-align: left; white-space: nowrap">{html.escape(caption)}</caption>'
    return f"<table>{title}<thead>{line('th', header)}</thead><tbody>{body}</tbody></table>"


def table_as_text(header: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """Return a table as aligned lines."""
    widths = [max(len(row[i]) for row in [list(header), *rows]) for i in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in [list(header), *rows]
    ]
    return "\n".join([caption, *lines])
