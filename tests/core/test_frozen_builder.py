"""A builder makes real frozen instances, field by field and by position."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from trio_ingest._core.frozen_builder import builder_of


@attrs.frozen(kw_only=True)
class Base:
    first: int = 1


@attrs.frozen(kw_only=True)
class Made(Base):
    second: Any


BUILD = builder_of(Made)


def test_builder_takes_the_fields_in_order_and_all_of_them() -> None:
    assert BUILD(1, "two") == Made(first=1, second="two")
    with pytest.raises(TypeError):
        BUILD(1)


def test_instance_is_of_the_class_itself_and_frozen() -> None:
    made = BUILD(1, 2)
    assert type(made) is Made
    assert not hasattr(made, "__dict__")
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        made.first = 2
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        del made.first
