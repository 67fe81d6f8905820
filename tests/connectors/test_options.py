"""Options that a kind declares, as others read them."""

from typing import Any, Literal

import attrs
import pytest

from trio_ingest import SetupError
from trio_ingest.connectors import NoOptions, option, options_of


@attrs.frozen(kw_only=True)
class Every:
    """An option of each type."""

    upper: bool = option(False, help="In capitals.")
    most: int = option(10, help="How many.", unit="bytes", minimum=1)
    share: float | None = option(None, help="Which part.")
    name: str = option("x", help="Its name.", metavar="NAME")
    kind: Literal["a", "b"] | None = option(None, help="Which.")


def test_each_type_is_read_with_what_was_said_of_it() -> None:
    found = {one.name: one for one in options_of(Every)}
    assert [one.type for one in found.values()] == [bool, int, float, str, str]
    assert [one.flag for one in found.values()] == [
        *("--upper", "--most", "--share", "--name", "--kind")
    ]
    assert [one.metavar for one in found.values()] == ["N", "N", "N", "NAME", "a|b"]
    assert found["most"].unit == "bytes"
    assert found["most"].minimum == 1
    assert found["kind"].choices == ("a", "b")
    assert found["share"].default is None


def test_the_class_makes_an_instance_of_what_was_given() -> None:
    assert Every(most=3).most == 3
    assert Every().name == "x"


def test_a_kind_without_options_has_none() -> None:
    assert options_of(NoOptions) == ()


@attrs.frozen
class Plain:
    most: int = 3


@attrs.frozen
class Odd:
    most: list[int] = option(  # noqa: RUF009 -- refused below
        [], help="No option can be a list."
    )


@pytest.mark.parametrize("cls", [Plain, Odd])
def test_a_field_that_is_no_option_is_refused_by_name(cls: Any) -> None:
    with pytest.raises(SetupError, match=rf"{cls.__name__}\.most is no option"):
        options_of(cls)
