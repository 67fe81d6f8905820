"""The builder of frozen attrs instances at the price of mutable ones.

``attrs.frozen`` pays for immutability in ``__init__``: each field goes through
``object.__setattr__``. A builder fills an instance of a mutable twin, a subclass with the
same slots, and then gives it the frozen class by ``__class__``. That costs about a quarter,
and the result is a real instance of the frozen class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs


def builder_of(cls: type) -> Callable[..., Any]:
    """Return a function that makes a ``cls`` of its fields, by position and in order.

    ``cls`` is a frozen attrs class with slots; nothing of its ``__init__`` is run.
    """
    names = [field.name for field in attrs.fields(cls)]
    # Setting and deleting an attribute share one slot of a type, so a twin that reset only
    # one of them would still pay for the other.
    twin = type(
        cls.__name__,
        (cls,),
        {
            "__slots__": (),
            "__setattr__": object.__setattr__,
            "__delattr__": object.__delattr__,
        },
    )
    source = [f"def build_{cls.__name__}({', '.join(names)}, *, _new, _twin, _frozen):"]
    source += ["    event = _new(_twin)"]
    source += [f"    event.{name} = {name}" for name in names]
    source += ["    event.__class__ = _frozen", "    return event"]
    scope: dict[str, Any] = {}
    exec("\n".join(source), scope)
    build: Callable[..., Any] = scope[f"build_{cls.__name__}"]
    # Defaults are read faster than globals, and than the cells of a closure.
    build.__kwdefaults__ = {"_new": object.__new__, "_twin": twin, "_frozen": cls}
    return build
