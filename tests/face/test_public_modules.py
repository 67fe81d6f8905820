"""Every public class says the module that users import it from."""

from __future__ import annotations

import builtins
import copy
import importlib
import inspect
import pickle
import typing
from collections.abc import Mapping
from typing import Any

import attrs
import pytest
import trio

import trio_ingest
from tests.project.test_exports import public_modules
from trio_ingest import IngestionPipeline
from trio_ingest.adapters import BadLineError
from trio_ingest.serialization import EventCodec
from trio_ingest.testing import ScriptedAdapter


def exported_classes() -> dict[type, str]:
    """Each with the shallowest room that exports it."""
    homes: dict[type, str] = {}
    for name in sorted(public_modules(), key=lambda name: (name.count("."), name)):
        module = importlib.import_module(name)
        for export in getattr(module, "__all__", ()):
            if inspect.isclass(getattr(module, export)):
                homes.setdefault(getattr(module, export), name)
    return homes


HOMES = exported_classes()
CLASSES = pytest.mark.parametrize("cls", HOMES, ids=lambda cls: cls.__name__)
ATTRS_CLASSES = pytest.mark.parametrize(
    "cls", [c for c in HOMES if attrs.has(c)], ids=lambda cls: cls.__name__
)
ERRORS = pytest.mark.parametrize(
    "cls", [c for c in HOMES if issubclass(c, Exception)], ids=lambda cls: cls.__name__
)

BY_TYPE = {
    int: 1,
    str: "text",
    float: 1.5,
    bool: True,
    list: [],
    tuple: (),
    dict: {},
    Mapping: {},
}


def value_of(hint: Any) -> Any:
    origin = typing.get_origin(hint) or hint
    if origin is typing.Literal:
        return typing.get_args(hint)[0]
    return BY_TYPE.get(origin)


def instance_of(cls: Any) -> Any:
    hints = typing.get_type_hints(cls)
    return cls(
        **{
            field.alias: value_of(hints[field.name])
            for field in attrs.fields(cls)
            if field.init and field.default is attrs.NOTHING
        }
    )


@CLASSES
def test_a_class_is_found_where_it_says(cls: type) -> None:
    assert not any(part.startswith("_") for part in cls.__module__.split("."))
    assert cls.__module__ == HOMES[cls]
    assert getattr(importlib.import_module(cls.__module__), cls.__qualname__) is cls


@ATTRS_CLASSES
def test_what_its_fields_hold_needs_no_name_of_a_private_module(cls: Any) -> None:
    # The module that a class reports may not have been asked for any other name yet.
    for hint in vars(cls).get("__annotations__", {}).values():
        if isinstance(hint, str):
            eval(hint, vars(builtins).copy())
    assert set(typing.get_type_hints(cls)) >= {field.name for field in attrs.fields(cls)}
    assert all(not isinstance(f.type, str) for f in attrs.fields(attrs.resolve_types(cls)))


@ATTRS_CLASSES
def test_an_object_is_copied_and_pickled(cls: Any) -> None:
    original = instance_of(cls)
    pickled = pickle.loads(pickle.dumps(original))
    for other in (copy.copy(original), copy.deepcopy(original), pickled):
        assert other.__class__ is cls
        assert repr(other) == repr(original)


@ERRORS
def test_an_error_names_its_public_class_in_a_traceback(cls: Any) -> None:
    # Those with arguments of their own have a path, perhaps a line number, and a reason.
    code = getattr(cls.__init__, "__code__", None)
    takes = ("self", "text") if code is None else code.co_varnames
    values: dict[str, Any] = {"line_number": 3, "notes": ("a note",)}
    error = cls(*(values.get(name, name) for name in takes[1:]))
    other = pickle.loads(pickle.dumps(error))
    assert (other.__class__, other.args, str(other)) == (cls, error.args, str(error))


@pytest.mark.filterwarnings("ignore:run_async_legacy is deprecated")
@pytest.mark.parametrize(
    ("error", "recorded"),
    [
        (trio_ingest.SetupError("no"), "trio_ingest.SetupError"),
        (BadLineError("lines.jsonl", 3, "It is none."), "trio_ingest.adapters.BadLineError"),
        (ValueError("no"), "ValueError"),
    ],
)
def test_a_failure_is_stored_under_a_name_that_moves_do_not_change(
    error: Exception, recorded: str
) -> None:
    class Feed(ScriptedAdapter):
        def parse(self, _: Any) -> Any:
            raise error

    pipeline = IngestionPipeline(Feed([1]))
    [failed] = trio.run(pipeline.run_async).errors
    [eager] = trio.run(pipeline.run_async_legacy).errors
    assert failed.error_type == eager.error_type == recorded
    failed = attrs.evolve(failed, raw=None)  # a scripted record is no value of JSON
    assert EventCodec().decode(EventCodec().encode(failed)) == failed
