"""Mistakes that rewards are known for: they run, and pay for the wrong thing or fail unseen."""

import ast
from collections.abc import Iterator
from typing import NamedTuple, TypeGuard

NETWORK_MODULES = ("socket", "requests", "httpx", "aiohttp", "urllib.request", "http.client")
_SAME_TEXT = ("strip", "lstrip", "rstrip", "lower", "upper", "casefold", "removeprefix", "removesuffix")
_EMPTY_PAID = "The empty answer is part of every text, so this pays for it"
_EMPTY_HINT = "Compare with `==` after `strip()`, or refuse the empty answer first"


class Trap(NamedTuple):
    """Where one is, and the way out."""

    line: int
    column: int
    message: str
    hint: str


def traps(module: ast.Module, reward: ast.stmt) -> Iterator[Trap]:
    """Look through a whole source; `reward` is the statement that binds it."""
    answers, golds = _paired_names(module)
    guarded = {id(node) for each in ast.walk(module) for node in _behind_a_guard(each)}
    for node in ast.walk(module):
        yield from _reaching_out(node)
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            yield from _either_in_other(node)
        if id(node) in guarded or not _is_in(node):
            continue
        if _root(node.left) in answers and _root(node.comparators[0]) in golds:
            yield _trap(node, _EMPTY_PAID, _EMPTY_HINT)
    if isinstance(reward, ast.FunctionDef | ast.AsyncFunctionDef):
        yield from _returning_one(reward)
        yield from _hiding_errors(reward)


def _is_in(node: ast.AST) -> TypeGuard[ast.Compare]:
    return isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.In)


def _behind_a_guard(node: ast.AST) -> list[ast.expr]:
    """Comparisons that only count for an answer that is not empty: those of `text and text in gold`."""
    if not isinstance(node, ast.BoolOp) or not isinstance(node.op, ast.And):
        return []
    present = {_root(value) for value in node.values} - {""}
    return [value for value in node.values if _is_in(value) and _root(value.left) in present]


def _either_in_other(node: ast.BoolOp) -> Iterator[Trap]:
    """`a in b or b in a`. Source: https://github.com/Liuziyu77/Visual-RFT/issues/176."""
    seen = set()
    for value in node.values:
        if _is_in(value):
            left, right = ast.dump(value.left), ast.dump(value.comparators[0])
            if (right, left) in seen:
                yield _trap(value, _EMPTY_PAID, _EMPTY_HINT)
            seen.add((left, right))


def _paired_names(module: ast.Module) -> tuple[set[str], set[str]]:
    """Names that stand for one answer, and for one expected text, in `for c, a in zip(completions, answer)`."""
    answers: set[str] = set()
    golds: set[str] = set()
    for node in ast.walk(module):
        if not isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            continue
        over = node.iter.args if isinstance(node.iter, ast.Call) and _root(node.iter.func) == "zip" else [node.iter]
        names = node.target.elts if isinstance(node.target, ast.Tuple) else [node.target]
        for source, name in zip(over, names, strict=False):
            if isinstance(source, ast.Name) and isinstance(name, ast.Name):
                answers |= {name.id} if source.id == "completions" else set()
                golds |= {name.id} if source.id in ("answer", "solution") else set()
    return answers, golds


def _root(node: ast.expr) -> str:
    """The name that `name`, `name[0]["content"]` or `name.strip().lower()` is the same text as."""
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Subscript):
            node = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _SAME_TEXT:
            node = node.func.value
        else:
            return ""
    return node.id


def _returning_one(reward: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Trap]:
    for node in _own_nodes(reward):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Constant) and _is_number(node.value.value):
            yield _trap(node, "This returns one number for the whole batch", "Return a list with one for each answer")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _hiding_errors(reward: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Trap]:
    for node in _own_nodes(reward):
        takes_all = isinstance(node, ast.ExceptHandler) and (not node.type or _root(node.type) == "BaseException")
        if isinstance(node, ast.ExceptHandler) and takes_all and not any(map(_is_raise, ast.walk(node))):
            said = "This hides every mistake, and what it pays then looks like a judgement"
            yield _trap(node, said, "Name the error that is expected, such as `except ValueError:`")


def _is_raise(node: ast.AST) -> bool:
    return isinstance(node, ast.Raise)


def _own_nodes(reward: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.AST]:
    """What belongs to the function itself and not to one inside it."""
    waiting: list[ast.AST] = list(reward.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            waiting.extend(ast.iter_child_nodes(node))


def _reaching_out(node: ast.AST) -> Iterator[Trap]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open":
        said = "`open` reaches only the images named in `images`, Python's own files and an empty folder"
        yield _trap(node, said, "Put what the reward needs into its source or into the dataset's answers")
    modules: list[str] = []
    if isinstance(node, ast.Import):
        modules = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module:
        modules = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    blocked = next((name for name in modules if name in NETWORK_MODULES), None)
    if blocked and isinstance(node, ast.stmt):
        yield _trap(node, f"`{blocked}`: rewards have no network", "Score with what the row brings")


def _trap(node: ast.expr | ast.stmt | ast.excepthandler, message: str, hint: str) -> Trap:
    return Trap(node.lineno, node.col_offset + 1, message, hint)
