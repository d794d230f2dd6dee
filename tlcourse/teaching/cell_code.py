"""The code in a cell: made Python where it speaks to the notebook, compared, and what it takes from other cells."""

import ast
import builtins
import symtable
import warnings
from collections.abc import Collection, Iterator, Sequence

# Cell magics that run the cell as Python; of all others the text means something else.
AROUND = ("%%time", "%%timeit", "%%capture", "%%prun")
LONGEST_CELL = 100_000  # letters of a cell that is looked at
# Where `str.splitlines`, which IPython calls, ends lines and Python does not, and letters in their place.
ODD_ENDS = {ord(end): 0xE000 + i for i, end in enumerate("\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")}
BACK = {private: end for end, private in ODD_ENDS.items()}
TOO_DEEP = (SyntaxError, ValueError, RecursionError, MemoryError)  # what parsing raises for text that is no program


class NotPythonError(ValueError):
    """A cell is written in something else."""


def as_python(source: str) -> tuple[str, str]:
    """Turn lines for the notebook (`%magic`, `!shell`, `name?`) into calls that do nothing.

    Returns as many lines of code, and a note on what was left out; raises NotPythonError for another language.
    """
    lines = source.split("\n")
    first = next((i for i, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")), 0)
    left_out = []
    if lines and lines[first].startswith("%%"):
        magic = lines[first].split()[0]
        if magic not in AROUND:
            raise NotPythonError(f"the cell begins with `{magic}`, so it is no Python. Expected Python code.")
        left_out, lines[first] = [lines[first]], ""
    code = "\n".join(lines)
    if not _parses(code):
        from IPython.core.inputtransformer2 import TransformerManager  # slow to import, and rarely needed

        changed = TransformerManager().transform_cell(code.translate(ODD_ENDS)).translate(BACK)
        if _parses(changed):
            left_out += [old for old, new in zip(lines, changed.split("\n"), strict=False) if "get_ipython()" in new]
            code = changed
    shown = ", ".join(f"`{line.strip()[:60]}`" for line in left_out[:3])
    return code, f"left out, since it is no Python: {shown}" if left_out else ""


def same_program(left: str, right: str) -> bool:
    """Say whether two cells do the same, comments and layout aside."""
    if max(len(left), len(right)) > LONGEST_CELL:
        return left == right
    try:
        return ast.dump(_parsed(left)) == ast.dump(_parsed(right))
    except TOO_DEEP:
        return left.split() == right.split()


def same_definition(left: str, right: str, name: str) -> bool:
    """Say whether two cells define a function of this name by the same text."""
    try:
        both = [_definition(_parsed(source), name) for source in (left, right)]
        return None not in both and ast.dump(both[0]) == ast.dump(both[1])
    except TOO_DEEP:
        return False


def is_empty(source: str) -> bool:
    """Say whether there is no code in a cell."""
    return all(not line.strip() or line.lstrip().startswith("#") for line in source.split("\n"))


def is_python(source: str) -> bool:
    """Say whether a cell can be run by itself, apart from its lines for the notebook."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(as_python(source)[0], "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except (NotPythonError, *TOO_DEEP):
        return False
    return len(source) <= LONGEST_CELL


def defined_names(source: str) -> set[str]:
    """Return the names that a cell defines for other cells; raises SyntaxError when it is no Python."""
    try:
        table = symtable.symtable(source, "<cell>", "exec")
    except TOO_DEEP as error:
        raise SyntaxError(str(error)) from error
    return {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}


def wanted_names(source: str) -> set[str]:
    """Return the names that a cell uses without defining them, apart from those of Python itself."""
    try:
        own, table = defined_names(source), symtable.symtable(source, "<cell>", "exec")
    except SyntaxError:
        return set()
    used = {s.get_name() for s in table.get_symbols() if s.is_referenced()}
    for inside in _inside(table):
        used |= {s.get_name() for s in inside.get_symbols() if s.is_global() and s.is_referenced()}
    return used - own - set(dir(builtins))


def taken_along(source: str, others: Sequence[str], given: Collection[str]) -> tuple[str, list[str]]:
    """Collect from other cells what an answer uses and is not `given`: a helper function, an import, a constant.

    Returns code that defines it, in the order of the notebook, and its names.
    """
    found = {name: (place, statement) for place, name, statement in _definitions(others)}
    taken: dict[str, tuple[int, ast.stmt]] = {}
    open_names = sorted(wanted_names(source) - set(given))
    while open_names:
        name = open_names.pop()
        if name in found and name not in taken:
            taken[name] = found[name]
            open_names += sorted(wanted_names(ast.unparse(found[name][1])) - set(given))
    statements = dict(sorted(taken.values(), key=lambda pair: pair[0]))
    return "\n".join(ast.unparse(statement) for statement in statements.values()), sorted(taken)


def _definitions(cells: Sequence[str]) -> Iterator[tuple[int, str, ast.stmt]]:
    place = 0
    for source in cells:
        try:
            body = _parsed(source).body
        except TOO_DEEP:
            continue
        for statement in body:
            place += 1
            for name in _names_of(statement):
                yield place, name, statement


def _names_of(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name.partition(".")[0] for alias in statement.names]
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    if not isinstance(statement, ast.Assign | ast.AnnAssign):
        return []
    return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]


def _definition(tree: ast.Module, name: str) -> ast.stmt | None:
    named = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    return named[-1] if named else None


def _inside(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    for child in table.get_children():
        yield child
        yield from _inside(child)


def _parses(source: str) -> bool:
    try:
        _parsed(source)
    except TOO_DEEP:
        return False
    return True


def _parsed(source: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as an unknown escape in a text
        return ast.parse(source)
