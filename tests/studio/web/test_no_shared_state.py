"""Nothing that a visitor changes lies in a module, where it would be everybody's."""

import ast

from backend.settings import ROOT

MODULES = [*sorted((ROOT / "studio").rglob("*.py")), ROOT / "backend" / "recipes" / "preview.py"]
CHANGING = {"append", "extend", "insert", "add", "update", "setdefault", "pop", "popitem", "clear", "remove", "discard",
            "put", "put_nowait", "set", "appendleft"}  # fmt: skip
# what is remembered by its arguments, the same for everybody; commands have a process of their own
REMEMBERED = {
    ("studio/ui/i18n.py", "catalogue"),
    ("backend/recipes/preview.py", "_sizes"),
    ("studio/pages/rewards/editor.py", "isolation"),
    ("studio/web/images.py", "_thumbnail"),
}


def names_of(module: ast.Module) -> set[str]:
    """What is bound at the level of the module, imports and definitions left out."""
    targets = [target for node in module.body if isinstance(node, ast.Assign) for target in node.targets]
    targets += [node.target for node in module.body if isinstance(node, ast.AnnAssign)]
    return {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}


def changes(module: ast.Module, names: set[str]) -> list[str]:
    """Where code changes one of these names, or what it holds."""
    found = []
    for node in ast.walk(module):
        if isinstance(node, ast.Global):
            found.append(f"{node.lineno}: global {node.names}")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGING:
            held = node.func.value
        elif isinstance(node, ast.Assign | ast.AugAssign | ast.Delete):
            targets = [node.target] if isinstance(node, ast.AugAssign) else node.targets
            held = next((each.value for each in targets if isinstance(each, ast.Subscript | ast.Attribute)), None)
        else:
            continue
        if isinstance(held, ast.Name) and held.id in names:
            found.append(f"{node.lineno}: {ast.unparse(node)}")
    return found


def is_cached(node: ast.FunctionDef) -> bool:
    return any("cache" in ast.unparse(mark) for mark in node.decorator_list)


def test_m1_no_module_of_the_page_holds_what_a_visitor_changes():
    assert len(MODULES) > 60

    found = {}
    for path in MODULES:
        module = ast.parse(path.read_text(encoding="utf-8"))
        found[str(path.relative_to(ROOT))] = changes(module, names_of(module))

    assert {path: lines for path, lines in found.items() if lines} == {}


def test_m1_what_is_remembered_between_visitors_depends_on_no_visitor():
    """Each function that remembers is looked at by a person before it stands here."""
    cached = {
        (str(path.relative_to(ROOT)), node.name)
        for path in MODULES
        if "cli" not in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and is_cached(node)
    }

    assert cached == REMEMBERED


def test_m1_the_look_for_shared_state_finds_it():
    """The search above, on what it must find."""
    text = "SEEN = {}\nlast: list = []\ndef click(who):\n    SEEN[who] = 1\n    last.append(who)\n    global last\n"
    module = ast.parse(text)

    assert len(changes(module, names_of(module))) == 3
