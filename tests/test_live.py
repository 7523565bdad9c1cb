"""`onions live`, in a real browser: what an author sees after each kind of edit."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import ROOT, run_onions, small_project, tree
from onions.pages import Project
from onions.preview import preview
from playwright.sync_api import Page as Tab
from playwright.sync_api import expect

Small = Callable[..., Path]

PATIENCE = 120  # seconds: none of these tests asks how fast it is
FIRST = """# First

Some text.

```{code-cell} python
print(6 * 7)
```

```{code-cell} python
:tags: [remove-cell, build-only]
from onions.claims import claim, measure

measure("answer", 6 * 7)
claim("Six times seven is more than forty.", 6 * 7 > 40)
```

Six times seven is more than forty. The answer is {glue:text}`answer`.
"""
SECOND = "# Second\n\nOther text.\n\n```{code-cell} python\nprint('second')\n```\n"
# A cell that says which process it is, and waits for a file.
SLOW = """import os, time
from pathlib import Path

Path({0!r}).with_suffix(".pid").write_text(str(os.getpid()))
while not Path({0!r}).exists():
    time.sleep(0.1)
"""


class Live:
    """A preview that runs, and what it has said so far."""

    def __init__(self, root: Path, process: "subprocess.Popen[str]") -> None:
        self.root, self.process, self.said = root, process, ""
        self._lines: SimpleQueue[str] = SimpleQueue()
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self._lines.put(line)

    def wait(self, pattern: str) -> re.Match[str]:
        """Wait until it says something, after what was waited for before."""
        end = time.monotonic() + PATIENCE
        while not (found := re.search(pattern, self.said)):
            try:
                self.said += self._lines.get(timeout=max(end - time.monotonic(), 0))
            except Empty:
                raise AssertionError(f"not said: {pattern}\n{self.said}") from None
        self.said = self.said[found.end() :]
        return found

    def edit(self, path: str, before: str, after: str) -> None:
        """Replace a text in a file, as an editor does: at once."""
        text = (self.root / path).read_text("utf-8")
        assert before in text
        self.write(path, text.replace(before, after))

    def write(self, path: str, text: str) -> None:
        part = self.root / f"{path}~"  # which the preview does not look at
        part.write_text(text, "utf-8")
        part.replace(self.root / path)


@contextmanager
def started(root: Path, *options: str, code: Path | None = None) -> Iterator[tuple[Live, str]]:
    """Start a preview; yield it, once it shows something, and its address."""
    environment = {**os.environ, "ONIONS_DATA": "", "PYTHONPATH": str(code or ROOT / "code")}
    command = [sys.executable, "-m", "onions.cli", "--project", str(root), "live", "--port", "0"]
    with subprocess.Popen(
        [*command, *options],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's script has background jobs ignore Ctrl-C, and what they start as well.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    ) as process:
        live = Live(root, process)
        try:
            yield live, live.wait(r"Open (http://\S+) – Ctrl-C")[1]
        finally:
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
            process.kill()  # if it is still there: leaving the block waits for it
    assert process.returncode == 0


def paragraph(tab: Tab, text: str) -> None:
    """Wait until a page says something."""
    expect(tab.locator("article")).to_contain_text(text, timeout=PATIENCE * 1000)


def process_in(path: Path) -> Path:
    """Wait until a cell has written which process it runs in; return its place in /proc."""
    end = time.monotonic() + PATIENCE
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return Path("/proc", path.read_text())


def gone(process: Path) -> None:
    end = time.monotonic() + PATIENCE
    while process.exists():
        assert time.monotonic() < end, f"{process} still runs"
        time.sleep(0.1)


def executed(root: Path) -> Path:
    done = run_onions(root, "execute")
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Live, str]]:
    """A preview for several tests, each of which edits a page of its own."""
    root = tmp_path_factory.mktemp("live")
    pages = {name: FIRST.replace("# First", f"# {name}") for name in ("text", "code", "wrong")}
    small_project(root, index="# Index\n\nText.", **pages, second=SECOND)
    with started(executed(root)) as (live, address):
        yield live, address


def marked(tab: Tab) -> Tab:
    """Leave a mark in a tab, which is gone once it has reloaded."""
    tab.evaluate("window.marked = true")
    return tab


def reloaded(tab: Tab) -> bool:
    return tab.evaluate("window.marked") is None


def test_an_edit_of_the_text_reaches_its_page_and_no_other(
    session: tuple[Live, str], tab: Tab
) -> None:
    live, address = session
    other = tab.context.new_page()
    other.goto(f"{address}second.html")
    tab.goto(f"{address}text.html")
    paragraph(tab, "The answer is 42.")
    expect(tab.locator("#live")).to_be_hidden()
    before = tree(live.root / "_build" / "store")
    marked(tab)
    marked(other)
    live.edit("book/text.md", "Some text.", "Some better text.")
    live.wait(r"Rendered in [\d.]+ s: text\.\n")
    paragraph(tab, "Some better text.")
    assert reloaded(tab) and not reloaded(other)
    expect(other.locator("article")).to_contain_text("second")
    assert tree(live.root / "_build" / "store") == before and "runs" not in live.said


def test_an_edit_of_code_is_shown_at_once_runs_and_is_then_complete(
    session: tuple[Live, str], tab: Tab, tmp_path: Path
) -> None:
    live, address = session
    gate = tmp_path / "gate"
    tab.goto(f"{address}code.html")
    slow = SLOW.format(str(gate)) + "print(6 * 9)"
    live.edit("book/code.md", "print(6 * 7)\n", f"{slow}\n")
    live.edit("book/code.md", 'answer", 6 * 7', 'answer", 6 * 9')
    status = tab.locator("#live [role=status]")
    expect(status).to_have_text("Running: cell 1 of 2.", timeout=PATIENCE * 1000)
    # The new code with the last run's outputs, and a mark.
    paragraph(tab, "print(6 * 9)")
    expect(tab.locator(".tag_awaits-run .output pre")).to_have_text("42")
    paragraph(tab, "The answer is 42.")
    assert Axe().run(tab).violations_count == 0
    gate.touch()
    paragraph(tab, "The answer is 54.")
    expect(tab.locator("#live")).to_be_hidden()
    expect(tab.locator(".tag_awaits-run")).to_have_count(0)
    expect(tab.locator(".output pre").first).to_have_text("54")
    live.wait(r"code: executed in \d+ s")
    assert "second: runs" not in live.said


def test_a_page_that_changes_while_it_runs_runs_as_it_stands(
    session: tuple[Live, str], tab: Tab, tmp_path: Path
) -> None:
    (live, address), never = session, tmp_path / "never"
    tab.goto(f"{address}second.html")
    live.edit("book/second.md", "print('second')", SLOW.format(str(never)))
    kernel = process_in(never.with_suffix(".pid"))
    live.edit("book/second.md", "while not", "print('ran')\nwhile False and not")
    live.wait("second: its run is not needed any more, and was ended")
    expect(tab.locator(".output pre").first).to_have_text("ran", timeout=PATIENCE * 1000)
    gone(kernel)


def test_nothing_runs_on_once_it_has_ended(small: Small, tmp_path: Path) -> None:
    root, never = executed(small(index=FIRST)), tmp_path / "never"
    with started(root) as (live, _):
        live.edit("book/index.md", "print(6 * 7)", SLOW.format(str(never)))
        kernel = process_in(never.with_suffix(".pid"))
    gone(kernel)


def test_errors_stand_on_the_page_and_in_the_terminal_until_they_are_mended(
    session: tuple[Live, str], tab: Tab
) -> None:
    live, address = session
    tab.goto(f"{address}wrong.html")
    problems = tab.locator("#live pre")
    live.edit("book/wrong.md", "print(6 * 7)", "print(6 / 0)")
    live.wait(r"wrong failed; the last good outputs stay\.\ncell 1 of 2, \S+wrong.md:6\n")
    expect(problems).to_contain_text("division by zero", timeout=PATIENCE * 1000)
    expect(problems).to_contain_text("wrong.md:6")
    expect(tab.locator(".output pre").first).to_have_text("42")  # the last good one
    other = tab.context.new_page()
    other.goto(f"{address}index.html")
    expect(other.locator("#live")).to_contain_text("Something is wrong on: wrong.")
    # A claim that does not hold.
    live.edit("book/wrong.md", "print(6 / 0)", "print(6 * 7)")
    expect(tab.locator("#live")).to_be_hidden(timeout=PATIENCE * 1000)
    live.edit("book/wrong.md", "6 * 7 > 40", "6 * 7 > 50")
    expect(problems).to_contain_text("1 claim does not hold", timeout=PATIENCE * 1000)
    live.edit("book/wrong.md", "6 * 7 > 50", "6 * 7 > 40")
    expect(tab.locator("#live")).to_be_hidden(timeout=PATIENCE * 1000)
    # What can't be rendered, and what is rendered with a warning.
    live.edit("book/wrong.md", "print(6 * 7)", "print(6 * ")
    live.wait(r"Not rendered, the last good pages stay:\n\S+wrong.md:")
    expect(problems).to_contain_text("wrong.md:6", timeout=PATIENCE * 1000)
    paragraph(tab, "The answer is 42.")
    live.edit("book/wrong.md", "print(6 * ", "print(6 * 7)")
    live.edit("book/wrong.md", "Some text.", "See {doc}`nowhere`.")
    live.wait("wrong.md:3: WARNING: unknown document: 'nowhere'")
    expect(problems).to_contain_text("unknown document", timeout=PATIENCE * 1000)
    live.edit("book/index.md", "Text.", "Some text.")  # another page's edit forgets nothing
    live.wait("Rendered in")
    expect(problems).to_contain_text("unknown document")
    live.edit("book/wrong.md", "See {doc}`nowhere`.", "Some text.")
    expect(tab.locator("#live")).to_be_hidden(timeout=PATIENCE * 1000)


def test_pages_come_and_go(small: Small, tab: Tab) -> None:
    root = executed(small(index=FIRST, second=SECOND))
    toc = (root / "_toc.yml").read_text()
    with started(root) as (live, address):
        tab.goto(address)
        live.write("book/third.md", SECOND.replace("Second", "Third").replace("second", "third"))
        live.write("_toc.yml", toc + "  - file: third\n")
        expect(tab.locator(".sidebar-tree")).to_contain_text("Third", timeout=PATIENCE * 1000)
        other = tab.context.new_page()
        other.goto(f"{address}third.html")
        expect(other.locator(".output pre")).to_have_text("third", timeout=PATIENCE * 1000)
        (root / "book" / "third.md").unlink()
        problems = tab.locator("#live pre")
        expect(problems).to_contain_text("see _toc.yml", timeout=PATIENCE * 1000)
        live.write("_toc.yml", toc)
        expect(tab.locator("#live")).to_be_hidden(timeout=PATIENCE * 1000)
        expect(tab.locator(".sidebar-tree")).not_to_contain_text("Third")
        expect(other.locator("h1")).to_have_text("Page not found")


def test_an_edit_of_a_helper_runs_the_pages_that_use_it(
    small: Small, tab: Tab, tmp_path: Path
) -> None:
    code = tmp_path / "code"
    shutil.copytree(ROOT / "code", code, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    (code / "onions" / "helper.py").write_text('"""Helps."""\n\nWORD = "before"\n')
    uses = "```{code-cell} python\n:tags: [build-only, remove-input]\n"
    uses += "from onions.helper import WORD\n\nprint(WORD)\n```\n"
    root = small(index=f"# First\n\nText.\n\n{uses}", second=SECOND)
    with started(root, code=code) as (live, address):
        tab.goto(address)  # nothing was executed before: it is now
        output = tab.locator(".output pre")
        expect(output).to_have_text("before", timeout=PATIENCE * 1000)
        live.wait("second: executed")
        (code / "onions" / "helper.py").write_text('"""Helps."""\n\nWORD = "after"\n')
        expect(output).to_have_text("after", timeout=PATIENCE * 1000)
        live.wait("index: executed")
        assert "second: runs" not in live.said


def test_a_quick_run_first(small: Small, tab: Tab) -> None:
    says = "import os\n\nprint(os.environ['ONIONS_PROFILE'])"
    root = executed(small(index=FIRST))
    with started(root, "--profile", "smoke") as (live, address):
        tab.goto(address)
        live.edit("book/index.md", "print(6 * 7)", says)
        live.wait("index: runs for one epoch")
        live.wait("index: executed for one epoch")
        live.wait("index: runs …")
        expect(tab.locator(".output pre").first).to_have_text("full", timeout=PATIENCE * 1000)


def test_without_the_packages_that_run_code_text_can_be_edited(small: Small, tab: Tab) -> None:
    root = executed(small(index=FIRST))
    blocked = root / "blocked"
    blocked.mkdir()
    refuses = "import sys\nfor name in ('tensorflow', 'keras', 'numpy', 'matplotlib', 'ipykernel',"
    refuses += " 'rich', 'wrapt', 'filelock', 'pandas'):\n    sys.modules[name] = None\n"
    (blocked / "sitecustomize.py").write_text(refuses)
    paths = Path(f"{blocked}{os.pathsep}{ROOT / 'code'}")
    with started(root, code=paths) as (live, address):
        tab.goto(address)
        live.edit("book/index.md", "Some text.", "Some better text.")
        paragraph(tab, "Some better text.")
        live.edit("book/index.md", "print(6 * 7)", "print(6 * 8)")
        problems = tab.locator("#live pre")
        expect(problems).to_contain_text("make install", timeout=PATIENCE * 1000)
        paragraph(tab, "The answer is 42.")


def test_a_taken_port_is_said(session: tuple[Live, str]) -> None:
    live, address = session
    port = re.sub(r"\D", "", address.rpartition(":")[2])
    done = run_onions(live.root, "live", "--port", port)
    assert done.returncode == 2 and f"port {port} is taken. Choose another" in done.stderr


def test_a_page_that_never_ran_is_shown_without_what_a_run_says(small: Small) -> None:
    quiz = (
        ":::{quiz} more\nHow many?\n\nMany\n: `answer > 40` Yes.\n\nFew\n: `answer <= 40` No.\n:::"
    )
    root = executed(small(index=FIRST + quiz))
    small(
        index=FIRST.replace("6 * 7", "6 * 8").replace("{glue:text}`answer`", "{glue:text}`new`")
        + quiz
    )
    shutil.rmtree(root / "_build" / "store")
    project = Project(root)
    run_onions(root, "plan")  # which says with what pages would run
    from onions.fingerprint import Build

    found = preview(project, [Build.read(project)], {})
    assert not found.trouble and list(found.awaited) == ["index"]
    page = (root / "_build" / "live" / "html" / "index.html").read_text("utf-8")
    assert "The answer is …." in page and "How many?" in page and not found.warnings.get("index")
    assert not (root / "_build" / "html").exists()  # nothing is published from it
