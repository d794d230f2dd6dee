"""A confusion matrix made of buttons: each cell can be clicked, or reached with Tab and pressed with Space."""

import html
from collections.abc import Callable, Sequence

import ipywidgets as widgets
import torch
from matplotlib import colormaps
from matplotlib.colors import to_hex

SHADES = 6  # from white (no mistake) to orange (the most frequent one)
CELL = "30px"
FRAME, NO_FRAME = "3px solid #0072B2", "1px solid #E5E5E5"


class ConfusionButtons(widgets.GridBox):
    """Rows are right classes, columns are answers; mistakes are the darker, the more often they happen.

    `choose` is called with row and column of a cell that was pressed; `cells` are the buttons, row by row.
    """

    def __init__(self, classes: Sequence[str], choose: Callable[[int, int], None]) -> None:
        self.classes, n = classes, len(classes)
        # widgets share a few styles and layouts: a hundred of each would take the browser a while
        colours = [to_hex(colormaps["Oranges"](0.55 * step / (SHADES - 1))) for step in range(SHADES)]
        self.shades = [widgets.ButtonStyle(button_color=c, text_color="#000000") for c in ["#FFFFFF", *colours[1:]]]
        self.plain, self.framed = (
            widgets.Layout(width=CELL, height="26px", padding="0", margin="0", border=border)
            for border in (NO_FRAME, FRAME)
        )
        self.cells = [[self._cell(row, column, choose) for column in range(n)] for row in range(n)]
        parts = [_head("right ↓ said →"), *(_head(name, 4) for name in classes)]
        for name, cells in zip(classes, self.cells, strict=True):
            parts += [_head(name), *cells]
        layout = {"grid_template_columns": f"max-content repeat({n}, {CELL})", "grid_gap": "1px"}
        layout |= {"flex": "0 0 auto", "margin": "4px 8px 0 0", "align_items": "center"}
        super().__init__(parts, layout=layout)

    def show(self, counts: torch.Tensor, cell: tuple[int, int]) -> None:
        """Write a number, of int64 `[classes, classes]`, into every cell, and frame one."""
        most = max(1, int(counts.clone().fill_diagonal_(0).max()))
        for row, values in enumerate(counts.tolist()):
            for column, count in enumerate(values):
                shade = 0 if row == column else -(-count * (SHADES - 1) // most)  # any mistake at all has a colour
                button = self.cells[row][column]
                button.description = str(count) if count else ""
                button.style = self.shades[shade]
                button.layout = self.framed if (row, column) == cell else self.plain

    def _cell(self, row: int, column: int, choose: Callable[[int, int], None]) -> widgets.Button:
        names = self.classes[row], self.classes[column]
        button = widgets.Button(style=self.shades[0], layout=self.plain, tooltip=f"{names[0]} answered {names[1]}")
        button.on_click(lambda _button: choose(row, column))
        return button


def _head(text: str, letters: int | None = None) -> widgets.HTML:
    """Return a class's name, of which a narrow column shows the first letters; all of it when pointed at."""
    shown, whole = html.escape(text[:letters]), html.escape(text)
    style = "text-align: center; line-height: 1.4; padding: 0 4px; overflow: hidden"
    return widgets.HTML(f'<div style="{style}" title="{whole}">{shown}</div>')
