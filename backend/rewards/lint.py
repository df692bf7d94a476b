"""Look at a reward's source without running any of it: what cannot work, and what usually means something else."""

import ast
import warnings
from collections.abc import Iterator
from typing import Literal, NamedTuple

from backend.rewards.lint_rules import traps

MAX_CHARACTERS = 200_000
COLUMNS = ("answer", "solution", "references", "id", "dataset", "images", "image_sizes")  # what each row brings
HANDED_OVER = ("prompts", "completions", "completion_ids", "trainer_state", "log_extra", "log_metric")
TEMPLATE = "def reward(completions, answer, **kwargs):"
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
        said = "The source does not define `reward` at its top level"
        return [LintFinding(1, 1, "error", said, f"Start with `{TEMPLATE}`")]
    errors = list(_signature(bound)) if isinstance(bound, _Function) and not bound.decorator_list else []
    found = [LintFinding(trap.line, trap.column, "warning", trap.message, trap.hint) for trap in traps(parsed, bound)]
    return sorted([*errors, *found])


def wants_text(text: str) -> bool:
    """Whether `completions` is annotated `list[str]`: it then gets plain texts, else conversations, as TRL does it."""
    parsed = _parse(text)
    bound = None if isinstance(parsed, LintFinding) else _binding(parsed)
    if not isinstance(bound, _Function):
        return False
    named = [*bound.args.args, *bound.args.kwonlyargs]
    annotation = next((each.annotation for each in named if each.arg == "completions"), None)
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        written = annotation.value
    else:
        written = ast.unparse(annotation) if annotation else ""
    return written.replace(" ", "").removeprefix("typing.") in ("list[str]", "List[str]")


def _parse(text: str) -> ast.Module | LintFinding:
    """Parse, or say why not."""
    if len(text) > MAX_CHARACTERS:
        said = f"The source has {len(text):,} characters"
        return LintFinding(1, 1, "error", said, f"Keep it under {MAX_CHARACTERS:,}")
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
        said = f"Python cannot read this: {error.msg}"
        return LintFinding(error.lineno or 1, max(error.offset or 1, 1), "error", said, "Correct the line")
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
        said = f"`{argument.arg}` may only be passed by position, but rewards are called by keyword"
        yield _at(argument, said, "Remove the `/`")
    named = [*arguments.args, *arguments.kwonlyargs]
    if not arguments.kwarg and not {each.arg for each in (*named, *arguments.posonlyargs)} & {"completions"}:
        said = "`reward` takes neither `completions` nor `**kwargs`, so it cannot see the answers"
        yield _at(reward, said, f"Write `{TEMPLATE}`")
    optional = arguments.args[len(arguments.args) - len(arguments.defaults) :] if arguments.defaults else []
    optional += [each for each, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default]
    for argument in named:
        if argument not in optional and argument.arg not in HANDED_OVER + COLUMNS:
            said = f"Nothing is handed over as `{argument.arg}`, and it has no default"
            yield _at(argument, said, f"Use one of {', '.join(HANDED_OVER + COLUMNS)}, or give it a default")


def _at(node: ast.arg | ast.stmt, message: str, hint: str) -> LintFinding:
    return LintFinding(node.lineno, node.col_offset + 1, "error", message, hint)
