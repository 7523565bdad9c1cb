"""The rehearsal: its scenarios with a small book, and its errors for unknown names."""

from pathlib import Path
from typing import Any

import pytest
from support.rehearse import (
    BUILD_ONLY_CELL,
    Book,
    GitHub,
    Machine,
    RehearsalError,
    Run,
    fill,
    holds,
    rehearse,
)

PAGE = "# {}\n\n```{{code-cell}} python\ntotal = sum({})\n```\n\nTheir sum is odd.\n"
ODD_CLAIM = BUILD_ONLY_CELL.format(code='claim("Their sum is odd.", total % 2 == 1)')
PAGES = {
    "index": "# A small book\n\nIt has {doc}`numbers` and {doc}`squares`.\n",
    "numbers": PAGE.format("Numbers", "range(10)") + ODD_CLAIM,
    "squares": PAGE.format("Squares", "n**2 for n in range(10)") + ODD_CLAIM,
}
# `make look` tests the pages of the full book.
SMALL_BOOK = Book("numbers", "squares", PAGES, lines_left_out=("make look",))
TABLE = {"inputs.save": True, "inputs.base": "", "!cancelled()": True, "matrix.number": 2}


@pytest.mark.kernel
def test_every_scenario_succeeds_with_a_small_book(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rehearse(tmp_path, SMALL_BOOK)
    printed = capsys.readouterr().out
    assert "Left out: check, quick, browser, make look\n" in printed
    assert "✓ build / execute 1/2" in printed and "✗ build / render" in printed


def test_expressions_are_replaced() -> None:
    text = "store-${{ matrix.number }}-${{inputs.save}}"
    assert fill({"name": text, "days": 5}, TABLE) == {"name": "store-2-true", "days": 5}
    assert fill("${{ inputs.save }}", TABLE) is True
    for unknown in ("${{ inputs.new }}", "store-${{ inputs.save && true }}"):
        with pytest.raises(RehearsalError, match=r"has no value in tests/support/rehearse\.py"):
            fill({"name": unknown}, TABLE)


def test_conditions_hold_after_success_or_after_failure() -> None:
    for condition, after_success, after_failure in (
        (None, True, False),
        ("${{ inputs.save }}", True, False),
        ("${{ inputs.base }}", False, False),
        ("${{ !cancelled() }}", True, True),
    ):
        assert holds(condition, TABLE, True) is after_success
        assert holds(condition, TABLE, False) is after_failure


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(Run(GitHub(tmp_path, SMALL_BOOK), "", ""), "build", TABLE, {})
    machine.work.mkdir()
    return machine


def test_an_unknown_action_or_input_is_an_error(machine: Machine) -> None:
    with pytest.raises(RehearsalError, match="some/action is not in"):
        machine.action({"uses": "some/action@v1"})
    with pytest.raises(TypeError, match="'ref'"):
        machine.action({"uses": "actions/checkout@v1", "with": {"ref": "x"}})


def test_a_failing_pipe_fails_the_job(machine: Machine) -> None:
    steps: list[dict[str, Any]] = [{"run": "false | cat"}, {"run": "echo next"}]
    assert machine.play({"steps": steps, "timeout-minutes": 1}) == "failure"
    assert "next" not in machine.run.logs["build"]
    with pytest.raises(RehearsalError, match="False: it ran"):
        machine.run.expect("it ran", "failure", "success")
