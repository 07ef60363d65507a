"""Filter patterns match as CloudWatch Logs' guide describes, and say where they can't be read."""

from __future__ import annotations

import json
import time

import pytest

from tidemill.platform.fault import Fault
from tidemill.services.logs.pattern import compile_pattern

EVENT = json.dumps(
    {
        "level": "error",
        "ms": 120,
        "ratio": -0.5,
        "ok": False,
        "nothing": None,
        "user": {"name": "Jo Doe", "ids": [7, 8]},
        "items": [{"sku": "a-1"}, {"sku": "b-2"}],
        "dash-ed": "x",
    }
)
ACCESS = '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /a.html HTTP/1.0" 404 1534'


@pytest.mark.parametrize(
    ("pattern", "message", "expected"),
    [
        ("", "anything", True),
        ("ERROR", "[ERROR 400] bad", True),
        ("ERROR", "error", False),
        ("ERROR 400", "[ERROR 400] bad", True),
        ("ERROR 500", "[ERROR 400] bad", False),
        ('"bad request"', "a bad request", True),
        ('"bad request"', "bad and request", False),
        (r'"say \"hi\""', 'they say "hi"', True),
        ("ERROR -400", "[ERROR 400] bad", False),
        ("-400", "[ERROR 500] bad", True),
        ('ERROR -"bad luck"', "ERROR bad luck", False),
        ("?ERROR ?WARN", "WARN x", True),
        ("?ERROR ?WARN", "INFO x", False),
        ("ERROR ?WARN", "ERROR x", True),
        ("%4[0-9]{2}%", "code 404", True),
        ("%^4[0-9]{2}%", "code 404", False),
        ("%error|warn% -debug", "a warning", True),
    ],
)
def test_terms(pattern: str, message: str, expected: bool) -> None:
    assert compile_pattern(pattern)(message) is expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ('{ $.level = "error" }', True),
        ("{$.level=error}", True),
        ('{ $.level != "error" }', False),
        ('{ $.level = "err*" }', True),
        ('{ $.level = "*r" }', True),
        ("{ $.level = %^err% }", True),
        ("{ $.level != %^err% }", False),
        ("{ $.ms > 100 && $.ms <= 120 }", True),
        ("{ $.ms > 120 }", False),
        ("{ $.ms != 120 }", False),
        ("{ $.ratio < 0 }", True),
        ("{ $.ratio = -5e-1 }", True),
        ("{ $.ok IS FALSE }", True),
        ("{ $.ok IS TRUE }", False),
        ("{ $.nothing IS NULL }", True),
        ("{ $.missing NOT EXISTS }", True),
        ("{ $.nothing NOT EXISTS }", False),
        ('{ $.user.name = "Jo Doe" }', True),
        ("{ $.user.ids[1] = 8 }", True),
        ("{ $.user.ids[*] = 8 }", True),
        ("{ $.user.ids[5] = 8 }", False),
        ('{ $.items[*].sku = "b-2" }', True),
        ('{ $["dash-ed"] = "x" }', True),
        ("{ $.dash-ed = x }", True),
        ("{ $.ms = 1 || $.level = error && $.ms = 120 }", True),
        ("{ ($.ms = 1 || $.level = error) && $.ms = 2 }", False),
        ('{ $.missing = "x" }', False),
        ('{ $.missing != "x" }', False),
    ],
)
def test_json_selectors(pattern: str, expected: bool) -> None:
    matches = compile_pattern(pattern)
    assert matches(EVENT) is expected
    assert not matches("no JSON at all")
    assert not matches('{"half": ')


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[ip, id, user, timestamp, request, code, size]", True),
        ("[ip, id, user, timestamp, request, code = 4*, size]", True),
        ("[ip, id, user, timestamp, request, code >= 400 && code < 500, size > 1000]", True),
        ('[ip, id, user, timestamp, request = "*html*", code = 404, size]', True),
        ("[ip, id, user, timestamp, request, code = 5*, size]", False),
        ("[ip, id, user]", False),
        ("[..., size]", True),
        ("[ip = %127%, ...]", True),
        ("[..., code = 404 || code = 410, size]", True),
        ("[ip, , user = frank, ...]", True),
    ],
)
def test_fields_by_position(pattern: str, expected: bool) -> None:
    assert compile_pattern(pattern)(ACCESS) is expected


@pytest.mark.parametrize(
    ("pattern", "place"),
    [
        ('"unended', 1),
        ("{ $.a }", 7),
        ("{ $.a = }", 9),
        ("{ $.a = 1", 10),
        ("{ $.a = 1 } x", 13),
        ('{ $.a > "x" }', 13),
        ("{ a = 1 }", 3),
        ("[a, b", 6),
        ("%(a+)+b%", 2),
        ("%[%", 2),
    ],
)
def test_what_can_not_be_read_is_refused_with_its_place(pattern: str, place: int) -> None:
    with pytest.raises(Fault) as caught:
        compile_pattern(pattern)
    assert caught.value.code == "InvalidParameterException"
    assert f"at character {place}:" in caught.value.message


def test_no_message_holds_up_a_regular_expression() -> None:
    matches = compile_pattern("%.*a.*b.*c%")
    start = time.process_time()
    assert not matches("a" * 200_000)
    assert time.process_time() - start < 5
