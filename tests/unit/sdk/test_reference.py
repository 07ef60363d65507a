"""A job finds its function by name; what has no such name is refused with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import tidemill as tm
from tidemill.sdk import reference
from tidemill.sdk.error import SubmitError
from tidemill.sdk.function import Job
from tidemill.sdk.reference import reference_of


@tm.job
def named() -> int:
    return 5


class Holder:
    @staticmethod
    @tm.job
    def inside() -> None: ...


shadowed = named


def refused(job: Job[..., object]) -> str:
    with pytest.raises(SubmitError) as caught:
        reference_of(job.function, job)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_function_of_a_module_is_found_again() -> None:
    assert reference_of(named.function, named) == f"{__name__}:named"
    assert reference.load(f"{__name__}:named") is named


def test_a_static_method_is_found_again() -> None:
    text = reference_of(Holder.inside.function, Holder.inside)
    assert reference.load(text) is Holder.inside


def test_a_lambda_is_refused() -> None:
    assert "write it as a function with `def`" in refused(tm.job(lambda: 1))


def test_a_function_within_a_function_is_refused() -> None:
    @tm.job
    def inner() -> None: ...

    assert "move it to the top of its module" in refused(inner)


def test_a_function_whose_name_means_something_else_is_refused() -> None:
    assert "does not give this function" in refused(tm.job(named.function))


def test_a_script_is_imported_without_its_main_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    script = tmp_path / "script.py"
    script.write_text(
        "import tidemill as tm\n"
        "@tm.job\n"
        "def go(): return __name__\n"
        "if __name__ == '__main__': raise RuntimeError\n"
    )
    monkeypatch.delitem(sys.modules, reference.SCRIPT_MODULE, raising=False)
    job = reference.load(f"{script}:go")
    assert job() == reference.SCRIPT_MODULE
    assert reference_of(job.function, job) == f"{script}:go"
    monkeypatch.delitem(sys.modules, reference.SCRIPT_MODULE)


def test_submitting_at_import_is_refused_in_a_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "unguarded.py").write_text(
        "import tidemill as tm\n@tm.job\ndef go(): ...\ngo.submit()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SubmitError, match='under `if __name__ == "__main__":`'):
        reference.load_for_job("unguarded:go")


def test_what_only_makes_its_value_later_is_refused_where_it_is_decorated() -> None:
    async def later() -> int:
        return 1

    def one_by_one() -> Iterator[int]:
        yield 1

    with pytest.raises(SubmitError, match=r"later is a coroutine function.*plain function"):
        tm.job(later)
    with pytest.raises(SubmitError, match="one_by_one is a generator function"):
        tm.job(one_by_one)
