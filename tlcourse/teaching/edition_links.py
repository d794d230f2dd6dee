"""What a notebook's text points to, so that an edition takes along the images and leads nowhere that is not there."""

import re
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from nbformat import NotebookNode

CODE = r"(?P<ticks>`+).*?(?P=ticks)"  # code may look like a link: steps[name](rate)
LINK = re.compile(CODE + r'|\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)(\s+"[^"]*")?\)', re.DOTALL)
ELSEWHERE = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:|//|#")  # the web, an attachment, or a place in the same notebook


def tidy_links(notebook: NotebookNode, folder: Path, notebooks: Collection[str]) -> list[str]:
    """Turn links to notebooks that do not come along into plain text, and return the files that have to.

    The notebook's text is changed in place; paths are relative to its folder, with `/` on every system. Raises
    ValueError when a link leads out of the folder or to a file that is not there.
    """
    files: set[str] = set()

    def visit(link: re.Match) -> str:
        if link["ticks"]:
            return link[0]
        name = unquote(link["target"].partition("#")[0])
        if ELSEWHERE.match(link["target"]) or name in notebooks:
            return link[0]
        if name.endswith(".ipynb"):
            return link["text"]
        files.add(_checked(name, folder))
        return link[0]

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = LINK.sub(visit, cell.source)
    return sorted(files)


def _checked(name: str, folder: Path) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"a notebook in {folder} links to {name}. Expected a file in the same folder or below it.")
    if not (folder / path).is_file():
        raise ValueError(f"a notebook in {folder} links to {name}, which is not there. Mend the link, or add the file.")
    return path.as_posix()
