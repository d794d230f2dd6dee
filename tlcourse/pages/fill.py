"""Filling a template: every text is escaped, a value that is missing is an error, and nothing is fetched."""

import functools
import html
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2


def fill(template: str, **values: object) -> str:
    """Return a template of this folder, such as `"card.html"`, filled with values."""
    return _templates().get_template(template).render(**values)


@functools.cache
def _templates() -> "jinja2.Environment":
    import jinja2  # here, since a notebook without a card does not need it

    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("tlcourse.pages", ""),
        autoescape=jinja2.select_autoescape(["html"]),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    templates.filters |= {"prose": _prose, "line": _line}
    return templates


def _prose(text: str) -> "jinja2.utils.markupsafe.Markup":
    """Render the little Markdown that texts of exercises use; what stands in backticks stays as it is."""
    from markupsafe import Markup

    parts = re.split(r"`([^`]+)`", html.escape(text))
    parts[1::2] = [f"<code>{code}</code>" for code in parts[1::2]]
    for place in range(0, len(parts), 2):
        strong = re.sub(r"\*\*(?=\S)([^*]+)(?<=\S)\*\*", r"<strong>\1</strong>", parts[place])
        parts[place] = re.sub(r"(?<!\w)\*(?=\S)([^*]+)(?<=\S)\*(?!\w)", r"<em>\1</em>", strong)
    return Markup("".join(parts).replace("\n", "<br>"))


def _line(text: object) -> str:
    """Keep a text on its line and in its cell of Markdown: names of folders may hold anything."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("`", "'").replace("<", "&lt;")
