from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import types
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import attrs
import pytest

import trio_ingest
import trio_ingest.serialization
import trio_ingest.testing


def public_modules() -> list[str]:
    """The modules that users import from; without the extra `cli`, those of the core."""
    inner = pkgutil.walk_packages(trio_ingest.__path__, "trio_ingest.")
    names = ["trio_ingest", *(info.name for info in inner)]
    public = [n for n in names if not any(part.startswith("_") for part in n.split("."))]
    has_cli = find_spec("click") is not None and find_spec("rich") is not None
    return [n for n in public if has_cli or not n.startswith("trio_ingest.cli")]


def exports() -> list[Any]:
    return [
        pytest.param(getattr(module, name), id=f"{module.__name__}.{name}")
        for module in map(importlib.import_module, public_modules())
        for name in getattr(module, "__all__", ())
        if name != "__version__"
    ]


def callables_of(cls: type) -> list[tuple[str, Any]]:
    """The public methods and properties that a class of ours adds itself."""
    kinds = (types.FunctionType, property, classmethod, staticmethod)
    return [
        (name, value)
        for name, value in vars(cls).items()
        if not name.startswith("_") and isinstance(value, kinds)
    ]


@pytest.mark.parametrize("name", public_modules())
def test_exports_are_importable_unique_and_sorted(name: str) -> None:
    module = importlib.import_module(name)
    listed = list(getattr(module, "__all__", ()))
    assert listed == sorted(set(listed))
    assert [export for export in listed if not hasattr(module, export)] == []


def test_the_packages_say_what_they_export() -> None:
    packages = [name for name in public_modules() if name.count(".") <= 1]
    silent = [n for n in packages if not hasattr(importlib.import_module(n), "__all__")]
    assert silent == []


LAZY = pytest.mark.parametrize(
    "module", [trio_ingest, trio_ingest.testing], ids=lambda module: module.__name__
)


@LAZY
def test_what_type_checkers_see_is_what_programs_get(module: Any) -> None:
    tree = ast.parse(Path(module.__file__).read_text("utf-8"))
    [block] = [node for node in tree.body if isinstance(node, ast.If) and node.body][:1]
    seen = {
        alias.name: f"{module.__name__}.{node.module}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(seen) == set(module.__all__)
    for name, home in seen.items():
        assert getattr(module, name) is getattr(importlib.import_module(home), name)


@LAZY
def test_there_is_nothing_else(module: Any) -> None:
    assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        module.Nonsense


@pytest.mark.parametrize("name", public_modules())
def test_modules_are_documented(name: str) -> None:
    assert inspect.getdoc(importlib.import_module(name))


@pytest.mark.parametrize("export", exports())
def test_exports_and_their_methods_are_documented(export: Any) -> None:
    if not inspect.isclass(export) and not inspect.isfunction(export):
        return
    assert export.__doc__, f"{export.__name__} has no docstring."
    if inspect.isclass(export):
        silent = [name for name, value in callables_of(export) if not value.__doc__]
        assert silent == []


@pytest.mark.parametrize("export", exports())
def test_exported_errors_are_ingest_errors(export: Any) -> None:
    if inspect.isclass(export) and issubclass(export, Exception):
        assert issubclass(export, trio_ingest.IngestError)


@pytest.mark.parametrize("export", exports())
def test_events_are_frozen_slotted_and_name_their_seconds(export: Any) -> None:
    if not (inspect.isclass(export) and issubclass(export, trio_ingest.PipelineEvent)):
        return
    assert "__dict__" not in dir(export)
    fields = {field.name: str(field.type) for field in attrs.fields(export)}
    times = [name for name, kind in fields.items() if "float" in kind]
    assert [n for n in times if not n.endswith("_seconds")] in (
        ["timestamp"],
        ["timestamp", "duration"],
    )
