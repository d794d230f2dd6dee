"""Pages of the commands: one file of HTML with its pictures inside; nothing is fetched, and every text is escaped."""

import functools
from collections.abc import Callable, Sequence

import jinja2
from matplotlib.figure import Figure

from tlcourse.notebook.display import as_image
from tlcourse.photos.findings import FolderReport
from tlcourse.photos.read import printable

MOST_FINDINGS = 300


def page(template: str, *, folders: Sequence[FolderReport], **values: object) -> str:
    """Fill one of the templates beside this module; it ends with what the inspection of each folder found."""
    return _templates().get_template(template).render(folders=folders, most_findings=MOST_FINDINGS, **values)


@functools.cache
def _templates() -> jinja2.Environment:
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("tlcourse.photos", ""),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    templates.filters["printable"] = printable
    return templates


def drawn(size: tuple[float, float], columns: int, draw: Callable[..., str]) -> tuple[str, str]:
    """Return a picture for a page, and what it shows; `draw` gets the axes, or as many as there are columns."""
    figure = Figure(figsize=size, layout="constrained")
    alt = draw(figure.subplots(1, columns))
    return as_image(figure, alt), alt
