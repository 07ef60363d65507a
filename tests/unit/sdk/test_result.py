"""Results lie in objects whose names say whose they are; small ones in the name itself."""

from __future__ import annotations

import pytest

from tidemill.sdk import result
from tidemill.sdk.codec import Encoded
from tidemill.sdk.error import RemoteTraceback


@pytest.mark.parametrize("size", [0, 1, 2, 3, result.IN_NAME_BYTES])
def test_a_small_result_is_in_the_name(size: int) -> None:
    value = Encoded("p", bytes(range(256)) * 4)
    value = Encoded("p", value.data[:size])
    text, body = result.name_and_body(7, 2, value)
    name = result.parse(text)
    assert (name.index, name.attempt, name.kind, name.data, body) == (7, 2, "p", value.data, b"")
    assert len(text) < 720
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


def test_a_large_result_is_in_the_body() -> None:
    data = b"x" * (result.IN_NAME_BYTES + 1)
    text, body = result.name_and_body(12345678, 10, Encoded("j", data))
    assert body == data
    assert result.parse(text).data is None


def test_names_sort_by_child() -> None:
    texts = [result.name_and_body(index, 1, Encoded("j", b"1"))[0] for index in (100, 9, 10)]
    assert [result.parse(text).index for text in sorted(texts)] == [9, 10, 100]


def test_the_last_attempt_counts() -> None:
    texts = ["00000001.02.j.MQ", "00000001.10.j.Mg", "00000001.09.e", "00000002.01.j.Mw"]
    found = result.latest(map(result.parse, texts))
    assert {index: name.attempt for index, name in found.items()} == {1: 10, 2: 1}


class Unpicklable(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def test_an_exception_comes_back_with_its_traceback() -> None:
    try:
        {}["missing"]
    except KeyError as error:
        told = result.exception_of(result.of_exception(error, 3))
    assert isinstance(told.error, KeyError)
    assert told.item == 3
    assert isinstance(told.error.__cause__, RemoteTraceback)
    assert '{}["missing"]' in str(told.error.__cause__)


@pytest.mark.parametrize("error", [Unpicklable(1, 2), SystemExit(3), KeyboardInterrupt()])
def test_an_exception_that_cannot_be_raised_here_is_told(error: BaseException) -> None:
    told = result.exception_of(result.of_exception(error, None))
    assert isinstance(told.error, result.RemoteException)
    assert type(error).__name__ in str(told.error)


class Odd(Exception):
    """It can't be rebuilt from what it hands to `Exception`."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def test_a_scripts_own_exception_reads_as_in_the_script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Odd, "__module__", "__tidemill_main__")
    told = result.exception_of(result.of_exception(Odd(1, 2), None)).error
    assert str(told) == "__main__.Odd: 1 and 2"
    assert str(told.__cause__).endswith("\nOdd: 1 and 2")
