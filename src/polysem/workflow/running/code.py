"""What makes a step another step: a digest over the syntax of its code (docs/design.md)."""

import ast
import hashlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from polysem.io.caches import FOLDER, read_cache, write_cache
from polysem.io.content import file_digest
from polysem.io.errors import InputError
from polysem.params.addons import PACKAGE, addon_packages

SOURCE = Path(__file__).resolve().parents[3]
MEMORY = FOLDER / "syntax.json"
CAPTION = "CAPTION"
"""What the module of a figure says of it on pages: the rule that writes them gets it from the source, so that nothing
that runs knows it, and a changed one draws no figure again."""
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@cache
def code_digest(*modules: str) -> str:
    """Digest over the syntax trees of the modules and of everything of the package that they import.

    Comments, docstrings, attribute docstrings, the caption of a figure and layout are no syntax that matters. Modules
    found by name at run time are not followed; the rule that uses one names it here. Of a package that adds modules the
    files that are no sources count, too, as its modules may read them. Raises ModuleNotFoundError for a module without
    a source.
    """
    trees = syntax_digests(*modules)
    others = {name.partition(".")[0] for name in trees} - {PACKAGE}
    data = [(package, _data_digest(package)) for package in sorted(others)]
    return _digest(repr(sorted(trees.items()) + data))


@cache
def named_digest(*modules: str) -> str:
    """The digest with the modules that it is of, `0123456789abcdef:polysem.saes.train_sae,…`: a step that gets it
    compares it with what it loaded (`workflow.running.command`)."""
    return f"{code_digest(*modules)}:{','.join(modules)}"


def syntax_digests(*modules: str) -> dict[str, str]:
    """Of every module that counts: the digest of its syntax."""
    trees: dict[str, str] = {}
    queue = list(modules)
    known = len(_memory())
    while queue:
        name = queue.pop()
        if name in trees:
            continue
        tree, imports = _parsed(name)
        trees[name] = tree
        queue += imports
        queue += [parent for parent in _parents(name) if parent not in trees]
    if len(_memory()) > known:
        write_cache(MEMORY, {"by": _own_digest(), "modules": _memory()})
    return trees


def text_syntax(name: str, text: str) -> str:
    """The digest of the syntax of a module whose source is `text`, whatever the file says by now."""
    file = source_file(name)
    return _known(text, name, file)[0] if file is not None else ""


def import_closure(module: str) -> set[str]:
    """Names of all modules of the package that a module imports, directly or not, itself included."""
    seen: set[str] = set()
    queue = [module]
    while queue:
        name = queue.pop()
        if name not in seen:
            seen.add(name)
            queue += [*_parsed(name)[1], *_parents(name)]
    return seen


@cache
def _parsed(name: str) -> tuple[str, tuple[str, ...]]:
    """Digest of a module's syntax, and what it imports of the package. What was parsed before is looked up by name and
    content: parsing everything would slow down every call of Snakemake."""
    file = source_file(name)
    if file is None:
        raise ModuleNotFoundError(f"{name} has no source below {SOURCE}")
    tree, imports = _known(file.read_text(encoding="utf-8"), name, file)
    return tree, tuple(target for target in imports if source_file(target) is not None)


def _known(text: str, name: str, file: Path) -> tuple[str, list[str]]:
    key, memory = _digest(f"{name} {file.name} {text}"), _memory()
    if key not in memory:
        memory[key] = _syntax(text, name, file)
    return memory[key]


def parsed(file: Path, text: str | None = None) -> ast.Module:
    """The syntax tree of a source; InputError, with the line, if it is none."""
    try:
        return ast.parse(file.read_text(encoding="utf-8") if text is None else text)
    except SyntaxError as error:
        raise InputError(f"{file}, line {error.lineno}: this is no Python ({error.msg}); mend it") from None
    except ValueError as error:  # zero bytes, or no UTF-8
        raise InputError(f"{file} is no Python in UTF-8 ({error}); mend it") from None


def _syntax(text: str, name: str, file: Path) -> tuple[str, list[str]]:
    tree = parsed(file, text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | Definition):
            node.body = [statement for statement in node.body if not _is_text(statement)] or [ast.Pass()]
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    if CAPTION not in read:
        tree.body = [statement for statement in tree.body if not _is_caption(statement)]
    imports = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, name, file)
            imports += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return _digest(_written_out(tree)), sorted({target for target in imports if _is_followed(target)})


@cache
def _memory() -> dict[str, tuple[str, list[str]]]:
    """What is known of modules that were parsed by this very code."""
    memory = read_cache(MEMORY)
    return dict(memory["modules"]) if memory and memory["by"] == _own_digest() else {}


@cache
def _own_digest() -> str:
    return _digest(f"{Path(__file__).read_text(encoding='utf-8')} {addon_packages()}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _written_out(node: object) -> str:
    """A syntax tree as text. Empty fields are left out: other versions of Python have other ones, and the same code
    has the same digest under all of them."""
    if isinstance(node, ast.AST):
        fields = [(name, value) for name, value in ast.iter_fields(node) if value is not None and value != []]
        return f"{type(node).__name__}({', '.join(f'{name}={_written_out(value)}' for name, value in fields)})"
    if isinstance(node, list):
        return f"[{', '.join(map(_written_out, node))}]"
    return repr(node)


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _is_caption(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Assign)
        and [getattr(target, "id", "") for target in statement.targets] == [CAPTION]
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _absolute(node: ast.ImportFrom, name: str, file: Path) -> str:
    if not node.level:
        return node.module or ""
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def _is_followed(module: str) -> bool:
    return module.partition(".")[0] in (PACKAGE, *addon_packages())


@cache
def _addon_folders(package: str) -> tuple[Path, ...]:
    """Where a package lies that adds modules to this one: in several folders if it is a namespace package, one without
    `__init__.py`. A single module counts as a folder of its name."""
    spec = find_spec(package)
    if spec is None:
        raise InputError(f"{package} adds modules to {PACKAGE} and cannot be found; install it again")
    if spec.submodule_search_locations is not None:
        return tuple(Path(folder) for folder in spec.submodule_search_locations)
    return (Path(spec.origin or package).with_suffix(""),)


@cache
def _data_digest(package: str) -> str:
    """Digest over the other files of a package that adds modules, which these may read: all but sources, compiled code
    and hidden ones."""
    found = sorted(
        (file.relative_to(folder).as_posix(), file_digest(file))
        for folder in _addon_folders(package)
        for file in folder.rglob("*")
        if file.is_file() and not _is_no_data(file.relative_to(folder))
    )
    return _digest(repr(found))


def _is_no_data(file: Path) -> bool:
    return file.suffix in (".py", ".pyc") or any(part.startswith(".") or part == "__pycache__" for part in file.parts)


def _parents(name: str) -> list[str]:
    """The packages that a module lies in; a folder without `__init__.py` has no code."""
    parts = name.split(".")
    parents = (".".join(parts[:count]) for count in range(1, len(parts)))
    return [parent for parent in parents if source_file(parent) is not None]


@cache
def source_file(name: str) -> Path | None:
    """The source of a module of the package, or of one that adds to it; None if there is none. Nothing is imported."""
    top, *rest = name.split(".")
    folders = (SOURCE / top,) if top == PACKAGE else _addon_folders(top)
    bases = [folder.joinpath(*rest) for folder in folders]
    files = (file for base in bases for file in (base.parent / f"{base.name}.py", base / "__init__.py"))
    return next((file for file in files if file.is_file()), None)
