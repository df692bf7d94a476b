"""Lint a reward's source without running any of it: what cannot work, and mistakes that rewards are known for."""

import ast
import warnings
from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeGuard

MAX_CHARACTERS = 200_000
COLUMNS = ("answer", "solution", "references", "id", "dataset", "images", "image_sizes")  # what each row brings
HANDED_OVER = ("prompts", "completions", "completion_ids", "trainer_state", "log_extra", "log_metric")
TEMPLATE = "def reward(completions, answer, **kwargs):"
NETWORK_MODULES = ("socket", "requests", "httpx", "aiohttp", "urllib.request", "http.client")
_TEXT_METHODS = ("strip", "lstrip", "rstrip", "lower", "upper", "casefold", "removeprefix", "removesuffix")
_PAYS_EMPTY = "The empty answer is part of every text, so this pays for it"
_PAYS_EMPTY_HINT = "Compare with `==` after `strip()`, or refuse the empty answer first"
_Function = ast.FunctionDef | ast.AsyncFunctionDef


class LintFinding(NamedTuple):
    """Something to change, or to think about."""

    line: int  # from 1
    column: int  # from 1
    level: Literal["error", "warning"]  # error: it cannot work
    message: str
    hint: str


def lint(text: str) -> list[LintFinding]:
    """List what is wrong with a source, by line. Only parses it: no module, default or decorator of it runs."""
    parsed = _parse(text)
    if isinstance(parsed, LintFinding):
        return [parsed]
    bound = _binding(parsed)
    if bound is None:
        message = "The source does not define `reward` at its top level"
        return [LintFinding(1, 1, "error", message, f"Start with `{TEMPLATE}`")]
    errors = list(_signature(bound)) if isinstance(bound, _Function) and not bound.decorator_list else []
    return sorted([*errors, *_warnings(parsed, bound)])


def wants_text(text: str) -> bool:
    """Whether `completions` is annotated `list[str]`: it then gets plain texts, else conversations, as TRL does it."""
    parsed = _parse(text)
    bound = None if isinstance(parsed, LintFinding) else _binding(parsed)
    if not isinstance(bound, _Function):
        return False
    parameters = [*bound.args.args, *bound.args.kwonlyargs]
    annotation = next((each.annotation for each in parameters if each.arg == "completions"), None)
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotated = annotation.value
    else:
        annotated = ast.unparse(annotation) if annotation else ""
    return annotated.replace(" ", "").removeprefix("typing.") in ("list[str]", "List[str]")


def _parse(text: str) -> ast.Module | LintFinding:
    """Parse, or say why not."""
    if len(text) > MAX_CHARACTERS:
        message = f"The source has {len(text):,} characters"
        return LintFinding(1, 1, "error", message, f"Keep it under {MAX_CHARACTERS:,}")
    if "\0" in text:  # Python refuses it without a line
        line = text.count("\n", 0, text.index("\0")) + 1
        return LintFinding(line, 1, "error", "The source holds a null byte", "Type the line again")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns of odd escapes in strings; they work
            parsed = ast.parse(text)
            ast.unparse(parsed)  # as deep as anything here goes
            return parsed
    except SyntaxError as error:
        message = f"Python cannot read this: {error.msg}"
        return LintFinding(error.lineno or 1, max(error.offset or 1, 1), "error", message, "Correct the line")
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        return LintFinding(line, 1, "error", "The source holds half a character", "Type the line again")
    except ValueError:
        return LintFinding(1, 1, "error", "The source holds a number that is too long", "Write it shorter")
    except (RecursionError, MemoryError):
        return LintFinding(1, 1, "error", "The source is nested too deeply", "Write it flatter")


def _binding(parsed: ast.Module) -> ast.stmt | None:
    """The last statement of the top level that may give `reward` its value."""
    bound = None
    for statement in _top_level(parsed.body):
        if "reward" in _names_bound(statement):
            bound = statement
    return bound


def _top_level(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Every statement outside functions and classes, those in `if`, `try`, `with` and loops among them."""
    for statement in statements:
        yield statement
        if isinstance(statement, _Function | ast.ClassDef):
            continue
        for block in ("body", "orelse", "finalbody"):
            yield from _top_level(getattr(statement, block, []))
        for branch in (*getattr(statement, "handlers", []), *getattr(statement, "cases", [])):
            yield from _top_level(branch.body)


def _names_bound(statement: ast.stmt) -> set[str]:
    if isinstance(statement, _Function):
        return {statement.name}
    if isinstance(statement, ast.Import):
        return {(alias.asname or alias.name).split(".")[0] for alias in statement.names}
    if isinstance(statement, ast.ImportFrom):  # a star may bring anything
        return {"reward" if alias.name == "*" else alias.asname or alias.name for alias in statement.names}
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        if statement.value is None:
            return set()
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
    return set()


def _signature(reward: _Function) -> Iterator[LintFinding]:
    """Check that it can be called by keyword with what is there."""
    arguments = reward.args
    for argument in arguments.posonlyargs:
        message = f"`{argument.arg}` may only be passed by position, but rewards are called by keyword"
        yield _error(argument, message, "Remove the `/`")
    parameters = [*arguments.args, *arguments.kwonlyargs]
    if not arguments.kwarg and not {each.arg for each in (*parameters, *arguments.posonlyargs)} & {"completions"}:
        message = "`reward` takes neither `completions` nor `**kwargs`, so it cannot see the answers"
        yield _error(reward, message, f"Write `{TEMPLATE}`")
    optional = arguments.args[len(arguments.args) - len(arguments.defaults) :] if arguments.defaults else []
    optional += [each for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default]
    for argument in parameters:
        if argument not in optional and argument.arg not in HANDED_OVER + COLUMNS:
            message = f"`{argument.arg}` is handed over only where the rows have a column of that name"
            hint = f"Give it a default, or use one of {', '.join(HANDED_OVER + COLUMNS)}"
            yield LintFinding(argument.lineno, argument.col_offset + 1, "warning", message, hint)


def _error(node: ast.arg | ast.stmt, message: str, hint: str) -> LintFinding:
    return LintFinding(node.lineno, node.col_offset + 1, "error", message, hint)


def _warnings(module: ast.Module, reward: ast.stmt) -> Iterator[LintFinding]:
    """Find what runs, but pays for the wrong thing or fails unseen; `reward` is the statement that binds it."""
    answers, golds = _paired_names(module)
    guarded = {id(node) for each in ast.walk(module) for node in _guarded_comparisons(each)}
    for node in ast.walk(module):
        yield from _out_of_reach(node)
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            yield from _mutual_containment(node)
        if id(node) in guarded or not _is_in(node):
            continue
        if _root(node.left) in answers and _root(node.comparators[0]) in golds:
            yield _warning(node, _PAYS_EMPTY, _PAYS_EMPTY_HINT)
    if isinstance(reward, _Function):
        yield from _single_number(reward)
        yield from _swallowed_errors(reward)


def _is_in(node: ast.AST) -> TypeGuard[ast.Compare]:
    return isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.In)


def _guarded_comparisons(node: ast.AST) -> list[ast.expr]:
    """Comparisons that only count for an answer that is not empty: those of `text and text in gold`."""
    if not isinstance(node, ast.BoolOp) or not isinstance(node.op, ast.And):
        return []
    present = {_root(value) for value in node.values} - {""}
    return [value for value in node.values if _is_in(value) and _root(value.left) in present]


def _mutual_containment(node: ast.BoolOp) -> Iterator[LintFinding]:
    """`a in b or b in a`. Source: https://github.com/Liuziyu77/Visual-RFT/issues/176."""
    compared = set()
    for value in node.values:
        if _is_in(value):
            left, right = ast.dump(value.left), ast.dump(value.comparators[0])
            if (right, left) in compared:
                yield _warning(value, _PAYS_EMPTY, _PAYS_EMPTY_HINT)
            compared.add((left, right))


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
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _TEXT_METHODS:
            node = node.func.value
        else:
            return ""
    return node.id


def _single_number(reward: _Function) -> Iterator[LintFinding]:
    for node in _own_nodes(reward):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Constant) and _is_number(node.value.value):
            yield _warning(
                node, "This returns one number for the whole batch", "Return a list with one for each answer"
            )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _swallowed_errors(reward: _Function) -> Iterator[LintFinding]:
    for node in _own_nodes(reward):
        takes_all = isinstance(node, ast.ExceptHandler) and (not node.type or _root(node.type) == "BaseException")
        if isinstance(node, ast.ExceptHandler) and takes_all and not any(map(_is_raise, ast.walk(node))):
            message = "This hides every mistake, and what it pays then looks like a judgement"
            yield _warning(node, message, "Name the error that is expected, such as `except ValueError:`")


def _is_raise(node: ast.AST) -> bool:
    return isinstance(node, ast.Raise)


def _own_nodes(reward: _Function) -> Iterator[ast.AST]:
    """What belongs to the function itself and not to one inside it."""
    waiting: list[ast.AST] = list(reward.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, _Function | ast.Lambda | ast.ClassDef):
            waiting.extend(ast.iter_child_nodes(node))


def _out_of_reach(node: ast.AST) -> Iterator[LintFinding]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open":
        message = "`open` reaches only the images named in `images`, Python's own files and an empty folder"
        yield _warning(node, message, "Put what the reward needs into its source or into the dataset's answers")
    modules: list[str] = []
    if isinstance(node, ast.Import):
        modules = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module:
        modules = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    blocked = next((name for name in modules if name in NETWORK_MODULES), None)
    if blocked and isinstance(node, ast.stmt):
        yield _warning(node, f"`{blocked}`: rewards have no network", "Score with what the row brings")


def _warning(node: ast.expr | ast.stmt | ast.excepthandler, message: str, hint: str) -> LintFinding:
    return LintFinding(node.lineno, node.col_offset + 1, "warning", message, hint)
