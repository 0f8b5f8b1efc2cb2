"""What keeps the code readable: imports point one way, functions and files stay short, words stay clean."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sgdlab.cli import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted((ROOT / "sgdlab").rglob("*.py"))
SCRIPTS = [path for path in sorted((ROOT / "scripts").rglob("*")) if path.is_file() and path.suffix != ".pyc"]
PYTHON = [
    *MODULES,
    *sorted((ROOT / "tests").glob("*.py")),
    *(
        path
        for path in SCRIPTS
        if path.suffix == ".py" or path.read_text(encoding="utf-8").startswith("#!/usr/bin/env python")
    ),
]

LONGEST_FUNCTION, LONGEST_FILE = 60, 400  # lines

# Modules and packages of sgdlab in the order in which they may import one another: from above, never from
# below. `commands` and `completion` are reached by name, through the table in `cli`.
ORDER = (
    ("errors", "imports"),
    ("checks", "duals", "surfaces", "theory"),
    ("schema",),
    ("config",),
    ("options", "device", "machine", "products", "problem", "optim", "records"),
    ("notes", "engine", "figures", "claims", "report", "flags", "manual", "overrides", "refusals"),
    ("cases", "copies", "disk", "dynamo", "forking", "naming", "signals", "tasks", "effort"),
    ("accept", "progress", "summary", "writeup"),
    ("compose",),
    ("assemble", "recorder", "small", "board"),
    ("answers",),
    ("runner", "planning", "shared", "slots"),
    ("batching", "worker", "sweep"),
    ("pool", "together"),
    ("processes", "server"),
    ("execute",),
    ("launcher",),
    ("api",),
    ("cli",),
    ("completion", "commands", "__main__"),
)
RANKS = {name: rank for rank, names in enumerate(ORDER) for name in names}

# Finer than the order: these read what a run wrote, or know nothing of each other, whatever their place.
READERS = ("records", "figures", "claims", "report", "writeup")
APART = {
    **{name: {"torch", "problem", "optim", "engine", "runner", "sweep"} for name in READERS},
    "optim": {"problem", "engine", "records"},
    "problem": {"optim", "engine", "records"},
    "engine": {"records", "config"},
    "config": {"torch", "hydra", "omegaconf", "yaml"},
    "schema": {"torch", "hydra", "omegaconf", "yaml"},
    "surfaces": {"torch", "numpy", "sgdlab"},
    "duals": {"torch", "numpy", "sgdlab"},
    "checks": {"torch", "hydra", "omegaconf", "yaml"},
    "theory": {"torch", "numpy", "pandas", "matplotlib"},
    "options": {"torch", "hydra", "omegaconf", "yaml"},
    "completion": {"torch", "pandas", "matplotlib", "hydra"},
}
HEAVY = ("torch", "torchvision", "pandas", "matplotlib", "rich", "hydra", "omegaconf", "numpy")
HEAVY += ("filelock", "orjson")

# What every command imports before it knows what is asked of it; only the standard library, at once.
AT_ONCE = ["cli.py", "__init__.py", "__main__.py", "errors.py", "checks.py", "config.py", "options.py"]
AT_ONCE += ["schema.py", "surfaces.py", "imports.py"]
AT_ONCE += ["flags.py", "manual.py", "completion.py", "optim/__init__.py", "optim/build.py"]
AT_ONCE += ["optim/table.py", "optim/schedule.py", "problem/__init__.py", "problem/specs.py"]
AT_ONCE += ["records/__init__.py", "records/read.py", "records/find.py", "figures/__init__.py"]
AT_ONCE += ["theory.py", "figures/keys.py", "figures/spec.py"]
AT_ONCE += [*(f"commands/{path.name}" for path in (ROOT / "sgdlab/commands").glob("*.py"))]


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def part(path: Path) -> str:
    """The module or package of sgdlab that a file belongs to."""
    parts = path.relative_to(ROOT / "sgdlab").with_suffix("").parts
    return parts[0]


def imports(nodes: Iterator[ast.AST]) -> Iterator[str]:
    """The modules that import statements name; `from sgdlab import x` names sgdlab.x."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module is not None, "a relative import"
            names = [alias.name for alias in node.names] if node.module == "sgdlab" else [""]
            yield from (f"{node.module}.{name}".rstrip(".") for name in names)


def needed(path: Path) -> set[str]:
    """What a file imports for more than its type annotations: parts of sgdlab, and other packages."""
    whole = tree(path)
    guarded = {
        id(inner)
        for node in ast.walk(whole)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found = set()
    nodes = (node for node in ast.walk(whole) if id(node) not in guarded)
    for name in imports(nodes):
        first, _, rest = name.partition(".")
        found.add(rest.partition(".")[0] if first == "sgdlab" else first)
    return found - {"", "__version__"}


def test_every_part_has_its_place():
    parts = {part(path) for path in MODULES} - {"__init__"}
    assert parts == set(RANKS)


@pytest.mark.parametrize("path", MODULES, ids=short)
def test_imports_point_one_way(path: Path):
    own = part(path)
    if own == "__init__":
        assert not needed(path)
        return
    above = {name for name, rank in RANKS.items() if rank < RANKS[own] or name == own}
    # Of one layer, only these: a package may not grow into its neighbour.
    beside = {"manual": {"options"}, "claims": set(), "commands": {"completion"}, "cli": {"commands"}}
    beside |= {"completion": {"commands"}}
    allowed = above | beside.get(own, set())
    wrong = {name for name in needed(path) if name in RANKS} - allowed
    assert not wrong, f"{short(path)} imports {', '.join(sorted(wrong))}, which comes after {own}"


@pytest.mark.parametrize("path", [path for path in MODULES if part(path) in APART], ids=short)
def test_parts_that_know_nothing_of_each_other(path: Path):
    assert not needed(path) & APART[part(path)]


@pytest.mark.parametrize("name", AT_ONCE)
def test_cheap_modules_import_nothing_heavy(name: str):
    statements = iter(tree(ROOT / "sgdlab" / name).body)  # not those inside functions or TYPE_CHECKING
    found = {module.partition(".")[0] for module in imports(statements)}
    assert not found & set(HEAVY)


@pytest.mark.parametrize("path", PYTHON, ids=short)
def test_functions_are_short(path: Path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(mark.lineno for mark in node.decorator_list)])
            length = (node.end_lineno or first) - first + 1
            assert length <= LONGEST_FUNCTION, f"{short(path)}:{first}: {node.name} has {length} lines"


@pytest.mark.parametrize("path", sorted({*PYTHON, *SCRIPTS, *(ROOT / ".ci").glob("*")}), ids=short)
def test_files_are_short(path: Path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("path", MODULES, ids=short)
def test_what_is_public_says_what_it_is(path: Path):
    """A module, and its public functions, classes and methods; a method that fulfils a protocol may leave
    it to the protocol, so only those of classes without a base are looked at."""
    module = tree(path)
    if not module.body:
        return
    assert ast.get_docstring(module), f"{short(path)} has no docstring"
    for node in module.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        assert ast.get_docstring(node), f"{short(path)}:{node.lineno}: {node.name} has no docstring"


@pytest.mark.parametrize("path", MODULES, ids=short)
def test_house_rules(path: Path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("hasattr", "eval", "exec"), f"{short(path)}:{node.lineno}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            # Hydra's instantiate runs whatever a configuration names.
            assert node.func.attr != "instantiate", f"{short(path)}:{node.lineno}"


def written() -> list[Path]:
    """Everything that a person reads or runs, but for this folder and recorded runs."""
    folders = [ROOT / name for name in ("sgdlab", "conf", "scripts", ".ci")]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    texts = [path for path in files if path.suffix not in (".gz", ".pyc")]
    return sorted([*texts, *ROOT.glob("*.md"), ROOT / "pyproject.toml"])


@pytest.mark.parametrize("path", written(), ids=short)
def test_no_word_of_one_machine_or_of_things_left_undone(path: Path):
    """Folders of the machine that a line was written on, and marks for work that was put off."""
    words = r"(?<![\w.])/(?:work|tmp|home|root|opt|mnt)/|\b(?:TODO|FIXME|XXX|HACK)\b"
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        found = re.search(words, line)
        assert found is None, f"{short(path)}:{number}: {found[0]}"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_module_with_main(command: str):
    module = importlib.import_module(COMMANDS[command][0])
    assert list(module.main.__annotations__) == ["argv", "return"]
