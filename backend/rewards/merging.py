"""Put several sources that stand alone into one: imports once, names that two of them bind made unique.

Meant for the ready rewards, whose tests assert what this relies on: no function binds a name of its own that the file
binds too, and no f-string names one.
"""

import ast
from collections.abc import Iterable, Mapping, Set
from typing import NamedTuple

ENTRY = "reward"


class Merged(NamedTuple):
    """The pieces of one source that stands alone, in the order in which they belong."""

    imports: str
    shared: str  # functions that several sources have word for word, once
    bodies: dict[str, str]  # source's name -> what it binds, renamed
    entries: dict[str, str]  # source's name -> what its `reward` is called now


class _Source(NamedTuple):
    tree: ast.Module
    blocks: dict[str, str]  # what binds a name -> its text, with the comments above it


def merged(texts: Mapping[str, str], taken: Set[str] = frozenset()) -> Merged:
    """Merge sources.

    Args:
        texts: source's name, a word that Python allows -> its text.
        taken: names that the caller binds beside them.
    """
    sources = {name: _read(text) for name, text in texts.items()}
    shared = _shared(list(sources.values()))
    bound = [name for source in sources.values() for name in source.blocks]
    clashing = {name for name in bound if bound.count(name) > 1} | taken | {ENTRY}
    bodies, entries = {}, {}
    for name, source in sources.items():
        renames = {old: _renamed(old, name) for old in clashing - shared.keys()}
        kept = [_with_renames(block, renames) for old, block in source.blocks.items() if old not in shared]
        bodies[name] = _joined(kept)
        entries[name] = renames[ENTRY]
    imports = sorted({ast.unparse(node) for source in sources.values() for node in source.tree.body if _imports(node)})
    imports.sort(key=lambda line: line.startswith("from"))
    return Merged("\n".join(imports), _joined(shared.values()), bodies, entries)


def _read(text: str) -> _Source:
    """Cut a source into what binds its names; docstring and imports are left out."""
    tree, lines, blocks, begun = ast.parse(text), text.splitlines(), {}, 0
    for node in tree.body:
        end = node.end_lineno or begun
        if isinstance(node, ast.FunctionDef | ast.Assign):
            bound = node.name if isinstance(node, ast.FunctionDef) else ast.unparse(node.targets[0])
            blocks[bound] = "\n".join(lines[begun:end]).strip("\n")
        begun = end
    return _Source(tree, blocks)


def _shared(sources: list[_Source]) -> dict[str, str]:
    """The functions that are the same wherever their name is bound, in two sources at least, and that need no other."""
    found = {}
    for name in {name: None for source in sources for name in source.blocks}:
        texts = [source.blocks[name] for source in sources if name in source.blocks]
        used = {node.id for node in ast.walk(ast.parse(texts[0])) if isinstance(node, ast.Name)}
        others = {other for source in sources for other in source.blocks} - {name}
        if len(texts) > 1 and len(set(texts)) == 1 and texts[0].startswith("def ") and not used & others:
            found[name] = texts[0]
    found.pop(ENTRY, None)
    return found


def _renamed(old: str, source: str) -> str:
    if old == ENTRY:
        return f"{source}_{ENTRY}"
    if old.isupper():
        return f"{source.upper()}_{old}"
    return f"_{source}{old}" if old.startswith("_") else f"{source}_{old}"


def _with_renames(block: str, renames: Mapping[str, str]) -> str:
    """Replace names where Python reads them as such; texts and comments stay."""
    lines = block.encode().split(b"\n")  # the parser counts columns in bytes
    places = []
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.Name) and node.id in renames:
            places.append((node.lineno - 1, node.col_offset, node.id))
        elif isinstance(node, ast.FunctionDef) and node.name in renames:
            places.append((node.lineno - 1, node.col_offset + len("def "), node.name))
    for row, column, old in sorted(places, reverse=True):
        line = lines[row]
        lines[row] = line[:column] + renames[old].encode() + line[column + len(old) :]
    return b"\n".join(lines).decode()


def _joined(blocks: Iterable[str]) -> str:
    """Constants close together, functions two lines apart."""
    text = ""
    for block in blocks:
        is_function = block.startswith("def ")
        text += ("\n\n\n" if is_function else "\n") * bool(text) + block
    return text


def _imports(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)
