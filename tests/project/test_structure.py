"""What keeps the code readable: imports point one way, functions and files stay short, words stay clean."""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from sgdlab.cli.commands import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted((ROOT / "sgdlab").rglob("*.py"))
SCRIPTS = [path for path in sorted((ROOT / "scripts").rglob("*")) if path.is_file() and path.suffix != ".pyc"]
PYTHON = [
    *MODULES,
    *sorted((ROOT / "tests").rglob("*.py")),
    *(
        path
        for path in SCRIPTS
        if path.suffix == ".py" or path.read_text(encoding="utf-8").startswith("#!/usr/bin/env python")
    ),
]

LONGEST_FUNCTION, LONGEST_FILE = 60, 400  # lines

# The folders of sgdlab, in order: each may import from those before it.
ORDER = (
    "base",
    "problem",
    "optim",
    "engine",
    "config",
    "records",
    "analysis",
    "figures",
    "report",
    "execution",
    "cli",
)
LOOSE = ("__init__", "__main__", "api")  # the only modules beside them
# Inside execution: each may import from those before it.
EXECUTION = (
    "outcome",
    "validate",
    "without_effect",
    "display",
    "run",
    "batch",
    "processes",
    "sweep",
    "hydra",
)

WITHOUT_TORCH = ("base", "config", "records", "analysis", "figures", "report", "cli")
# Finer than the order: these know nothing of each other, whatever their place.
APART = {
    "optim": {"problem"},
    "records": {"problem", "optim", "engine"},
    "analysis": {"problem", "optim", "engine"},
    "report": {"problem", "optim", "engine"},
}
HEAVY = ("torch", "torchvision", "pandas", "matplotlib", "rich", "hydra", "omegaconf", "numpy")
HEAVY += ("filelock", "orjson")


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def part(path: Path) -> str:
    """The folder of sgdlab that a file belongs to, or the loose module that it is."""
    return path.relative_to(ROOT / "sgdlab").with_suffix("").parts[0]


def module_name(path: Path) -> str:
    """`sgdlab.engine.loop`; of a package, its own name."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


NAMES = {module_name(path) for path in MODULES}


def imports(nodes: Iterator[ast.AST]) -> Iterator[str]:
    """The modules that import statements name; `from sgdlab import x` names sgdlab.x."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module is not None, "a relative import"
            modules = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (name if name in NAMES else node.module for name in modules)


def imported(path: Path, *, top: bool = False) -> set[str]:
    """The modules that a file imports for more than its type annotations; top: not inside functions."""
    whole = tree(path)
    guarded = {
        id(inner)
        for node in ast.walk(whole)
        if (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        or (top and isinstance(node, ast.FunctionDef))
        for inner in ast.walk(node)
    }
    return set(imports(node for node in ast.walk(whole) if id(node) not in guarded))


def needed(path: Path) -> set[str]:
    """The folders of sgdlab that a file imports from."""
    names = [name.split(".") for name in imported(path)]
    return {parts[1] for parts in names if parts[0] == "sgdlab" and len(parts) > 1} - {"__version__"}


def test_the_house_has_eleven_rooms_and_no_loose_module():
    assert {part(path) for path in MODULES} == {*ORDER, *LOOSE}
    assert len(ORDER) <= 11


@pytest.mark.parametrize("path", [path for path in MODULES if part(path) in ORDER], ids=short)
def test_imports_point_one_way(path: Path):
    own = part(path)
    wrong = needed(path) & {*ORDER[ORDER.index(own) + 1 :], "api"}
    assert not wrong, f"{short(path)} imports {', '.join(sorted(wrong))}, which comes after {own}"
    assert not needed(path) & APART.get(own, set())


@pytest.mark.parametrize("path", [path for path in MODULES if part(path) == "execution"], ids=short)
def test_imports_inside_execution_point_one_way(path: Path):
    parts = path.relative_to(ROOT / "sgdlab/execution").with_suffix("").parts
    if parts[0] == "__init__":
        return
    found = {name.split(".")[2] for name in imported(path) if name.startswith("sgdlab.execution.")}
    assert not found & set(EXECUTION[EXECUTION.index(parts[0]) + 1 :])


def listed(package: str) -> list[str]:
    """The names in `__all__` of a package."""
    return getattr(importlib.import_module(package), "__all__", [])


@pytest.mark.parametrize("path", PYTHON, ids=short)
def test_names_are_imported_from_the_package_that_lists_them(path: Path):
    """Outside a package; its own modules import them from where they are defined."""
    packages = [
        module_name(file) for file in MODULES if file.name == "__init__.py" and file.parent.name != "sgdlab"
    ]
    for node in ast.walk(tree(path)):
        if not isinstance(node, ast.ImportFrom) or node.module is None:
            continue
        above = [name for name in packages if node.module.startswith(f"{name}.")]
        for package in above:
            if path.is_relative_to(ROOT / package.replace(".", "/")):
                continue
            wrong = {alias.name for alias in node.names} & {*listed(package)}
            assert not wrong, f"{short(path)}:{node.lineno}: import {', '.join(sorted(wrong))} from {package}"


def test_no_circle_of_modules():
    """The imports of modules, those inside functions left out, have an order; Python's own would break."""
    needs = {
        module_name(path): {name for name in imported(path, top=True) if name in NAMES and "." in name}
        for path in MODULES
    }
    assert list(TopologicalSorter(needs).static_order())


@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_folders_load_without_torch(name: str):
    """All modules of the folder, but for commands that compute, and what they import."""
    modules = [module_name(path) for path in MODULES if part(path) == name]
    code = f"import importlib, sys; [importlib.import_module(m) for m in {modules}]"
    code += "; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


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


def public_functions(module: ast.Module) -> Iterator[ast.FunctionDef]:
    """Functions of the module, and those methods of its public classes that have a docstring."""
    for node in module.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            inner = (part for part in node.body if isinstance(part, ast.FunctionDef))
            yield from (part for part in inner if not part.name.startswith("_") and ast.get_docstring(part))


def arguments(function: ast.FunctionDef) -> list[str]:
    every = function.args
    named = [*every.posonlyargs, *every.args, *every.kwonlyargs, every.vararg, every.kwarg]
    return [each.arg for each in named if each is not None and each.arg not in ("self", "cls")]


@pytest.mark.parametrize("path", MODULES, ids=short)
def test_public_functions_describe_their_arguments(path: Path):
    """The docstring of a function of several arguments describes each one, and the result.

    The rules of optimizers have an order of their own: idea, symbols, state, equations (CONTRIBUTING.md).
    """
    if path.parent.name == "rules":
        return
    for function in public_functions(tree(path)):
        names, text = arguments(function), ast.get_docstring(function) or ""
        if len(names) < 2:
            continue
        where = f"{short(path)}:{function.lineno}: {function.name}"
        block = re.search(r"^Args:\n((?:    .*\n?|\n)*)", text, flags=re.MULTILINE)
        assert block, f"{where} has no block Args"
        described = set(re.findall(r"^    \*{0,2}(\w+(?:, \w+)*):", block[1], flags=re.MULTILINE))
        described = {name for group in described for name in group.split(", ")}
        assert described == set(names), f"{where} describes {sorted(described)}, not {sorted(names)}"
        result = ast.unparse(function.returns) if function.returns else "None"
        assert result in ("None", "Never") or re.search("^(Returns|Yields):", text, flags=re.MULTILINE), where


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
    folders = [ROOT / name for name in ("sgdlab", "conf", "docs", "scripts", ".ci")]
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
