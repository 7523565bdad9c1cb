"""`onions live`, in a real browser: what an author sees after each kind of edit."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from unittest import mock

import pytest
from onions.book.project import Project
from onions.live.preview import Preview, RenderProcess, render_preview
from onions.live.server import EventChannel
from onions.live.session import LiveSession
from onions.store.build import Build
from PIL import Image
from playwright.sync_api import Page, expect
from support.browsing import axe_violations
from support.projects import ROOT, Small, onions_command, run_onions, small_project, tree

pytestmark = pytest.mark.kernel

TIMEOUT = 60  # seconds; none of these tests measures speed, and a busy machine is slow
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
# A cell that writes its process id, and waits for a file.
SLOW = """import os, time
from pathlib import Path

Path({0!r}).with_suffix(".pid").write_text(str(os.getpid()))
while not Path({0!r}).exists():
    time.sleep(0.1)
"""


class Live:
    """A running preview; `output` is its output after the last match of `wait`."""

    def __init__(self, root: Path, process: "subprocess.Popen[str]") -> None:
        self.root, self.process, self.output = root, process, ""
        self._lines: SimpleQueue[str] = SimpleQueue()
        self.reader = Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self._lines.put(line)

    def wait(self, pattern: str) -> re.Match[str]:
        """Wait until the output after the previous match matches `pattern`; return the match."""
        end = time.monotonic() + TIMEOUT
        while not (match := re.search(pattern, self.output)):
            try:
                self.output += self._lines.get(timeout=max(end - time.monotonic(), 0))
            except Empty:
                raise AssertionError(f"not in the output: {pattern}\n{self.output}") from None
        self.output = self.output[match.end() :]
        return match

    def edit(self, path: str, before: str, after: str) -> None:
        """Replace a text in a file atomically, as an editor does."""
        text = (self.root / path).read_text("utf-8")
        assert before in text
        self.write(path, text.replace(before, after))

    def write(self, path: str, text: str) -> None:
        part = self.root / f"{path}~"  # ignored by the preview
        part.write_text(text, "utf-8")
        part.replace(self.root / path)


@contextmanager
def start_live(root: Path, *options: str, code: Path | None = None) -> Iterator[tuple[Live, str]]:
    """Start a preview; when it is ready, yield it and its URL."""
    environment = {**os.environ, "ONIONS_DATA": "", "PYTHONPATH": str(code or ROOT / "code")}
    with subprocess.Popen(
        onions_command(root, "live", "--port", "0", *options),
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        # Background jobs of a shell script ignore Ctrl-C, and so do their children.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    ) as process:
        live = Live(root, process)
        try:
            yield live, live.wait(r"Open (http://\S+) – Ctrl-C")[1]
        finally:
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(TIMEOUT)
            process.kill()  # otherwise leaving the block could wait forever
            live.reader.join(TIMEOUT)  # before the block closes what it reads
    assert process.returncode == 0


def expect_text(tab: Page, text: str) -> None:
    """Wait until a page contains a text."""
    expect(tab.locator("article")).to_contain_text(text)


def wait_for_process(path: Path) -> Path:
    """Wait until a cell has written its process id; return the process's folder in /proc."""
    end = time.monotonic() + TIMEOUT
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return Path("/proc", path.read_text())


def wait_for_end(process: Path) -> None:
    end = time.monotonic() + TIMEOUT
    while process.exists():
        assert time.monotonic() < end, f"{process} still runs"
        time.sleep(0.1)


def execute(root: Path) -> Path:
    """Execute a project; return its root."""
    done = run_onions(root, "execute")
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Live, str]]:
    """A preview for several tests, each of which edits a different page."""
    root = tmp_path_factory.mktemp("live")
    pages = {name: FIRST.replace("# First", f"# {name}") for name in ("text", "code", "wrong")}
    small_project(root, index="# Index\n\nText.", **pages, second=SECOND)
    with start_live(execute(root)) as (live, url):
        yield live, url


def mark(tab: Page) -> None:
    """Mark a tab; a reload removes the mark."""
    tab.evaluate("window.marked = true")


def was_reloaded(tab: Page) -> bool:
    return tab.evaluate("window.marked") is None


def test_text_edit_reloads_its_page_and_no_other(session: tuple[Live, str], tab: Page) -> None:
    live, url = session
    other = tab.context.new_page()
    other.goto(f"{url}second.html")
    tab.goto(f"{url}text.html")
    expect_text(tab, "The answer is 42.")
    expect(tab.locator("#live")).to_be_hidden()
    before = tree(live.root / "_build" / "store")
    mark(tab)
    mark(other)
    live.edit("book/text.md", "Some text.", "Some better text.")
    live.wait(r"Rendered in [\d.]+ s: text\.\n")
    expect_text(tab, "Some better text.")
    assert was_reloaded(tab) and not was_reloaded(other)
    expect(other.locator("article")).to_contain_text("second")
    assert tree(live.root / "_build" / "store") == before and "running" not in live.output


def test_code_edit_is_shown_as_pending_until_its_run_ends(
    session: tuple[Live, str], tab: Page, tmp_path: Path
) -> None:
    live, url = session
    gate = tmp_path / "gate"
    tab.goto(f"{url}code.html")
    slow = SLOW.format(str(gate)) + "print(6 * 9)"
    live.edit("book/code.md", "print(6 * 7)\n", f"{slow}\n")
    live.edit("book/code.md", 'answer", 6 * 7', 'answer", 6 * 9')
    status = tab.locator("#live [role=status]")
    expect(status).to_have_text("Running: cell 1 of 2.")
    # The new code with the outputs of the last run, marked as pending.
    expect_text(tab, "print(6 * 9)")
    expect(tab.locator(".tag_awaits-run .output pre")).to_have_text("42")
    expect_text(tab, "The answer is 42.")
    assert axe_violations(tab) == []
    gate.touch()
    expect_text(tab, "The answer is 54.")
    expect(tab.locator("#live")).to_be_hidden()
    expect(tab.locator(".tag_awaits-run")).to_have_count(0)
    expect(tab.locator(".output pre").first).to_have_text("54")
    live.wait(r"code: executed in \d+ s")
    assert "second: running" not in live.output


def test_edit_during_a_run_cancels_it_and_starts_a_new_run(
    session: tuple[Live, str], tab: Page, tmp_path: Path
) -> None:
    (live, url), never = session, tmp_path / "never"
    tab.goto(f"{url}second.html")
    live.edit("book/second.md", "print('second')", SLOW.format(str(never)))
    kernel = wait_for_process(never.with_suffix(".pid"))
    live.edit("book/second.md", "while not", "print('ran')\nwhile False and not")
    live.wait("second: run cancelled")
    expect(tab.locator(".output pre").first).to_have_text("ran")
    wait_for_end(kernel)


def test_end_of_the_preview_ends_its_kernels(small: Small, tmp_path: Path) -> None:
    root, never = execute(small(index=FIRST)), tmp_path / "never"
    with start_live(root) as (live, _):
        live.edit("book/index.md", "print(6 * 7)", SLOW.format(str(never)))
        kernel = wait_for_process(never.with_suffix(".pid"))
    wait_for_end(kernel)


def test_errors_appear_on_the_page_and_in_the_terminal_until_fixed(
    session: tuple[Live, str], tab: Page
) -> None:
    live, url = session
    tab.goto(f"{url}wrong.html")
    errors = tab.locator("#live pre")
    live.edit("book/wrong.md", "print(6 * 7)", "print(6 / 0)")
    live.wait(r"wrong failed; the last good outputs stay\.\ncell 1 of 2, \S+wrong.md:6\n")
    expect(errors).to_contain_text("division by zero")
    expect(errors).to_contain_text("wrong.md:6")
    expect(tab.locator(".output pre").first).to_have_text("42")  # the last good output
    other = tab.context.new_page()
    other.goto(f"{url}index.html")
    expect(other.locator("#live")).to_contain_text("Other pages with problems: wrong.")
    # A false claim.
    live.edit("book/wrong.md", "print(6 / 0)", "print(6 * 7)")
    expect(tab.locator("#live")).to_be_hidden()
    live.edit("book/wrong.md", "6 * 7 > 40", "6 * 7 > 50")
    expect(errors).to_contain_text("1 claim does not hold")
    live.edit("book/wrong.md", "6 * 7 > 50", "6 * 7 > 40")
    expect(tab.locator("#live")).to_be_hidden()
    # A page that can't be rendered, and a page with a warning.
    live.edit("book/wrong.md", "print(6 * 7)", "print(6 * ")
    live.wait(r"Rendering failed; the last good pages stay\.\n\S+wrong.md:")
    expect(errors).to_contain_text("wrong.md:6")
    expect_text(tab, "The answer is 42.")
    live.edit("book/wrong.md", "print(6 * ", "print(6 * 7)")
    live.edit("book/wrong.md", "Some text.", "See {doc}`nowhere`.")
    live.wait("wrong.md:3: WARNING: unknown document: 'nowhere'")
    expect(errors).to_contain_text("unknown document")
    live.edit("book/index.md", "Text.", "Some text.")  # an edit of another page keeps the error
    live.wait("Rendered in")
    expect(errors).to_contain_text("unknown document")
    live.edit("book/wrong.md", "See {doc}`nowhere`.", "Some text.")
    expect(tab.locator("#live")).to_be_hidden()


def test_pages_can_be_added_and_removed(small: Small, tab: Page) -> None:
    root = execute(small(index=FIRST, second=SECOND))
    toc = (root / "_toc.yml").read_text()
    with start_live(root) as (live, url):
        tab.goto(url)
        live.write("book/third.md", SECOND.replace("Second", "Third").replace("second", "third"))
        live.write("_toc.yml", toc + "  - file: third\n")
        expect(tab.locator(".sidebar-tree")).to_contain_text("Third")
        other = tab.context.new_page()
        other.goto(f"{url}third.html")
        live.edit("book/third.md", "Other text.", "See {doc}`nowhere`.")
        problems = tab.locator("#live")
        expect(problems).to_contain_text(
            "Other pages with problems: third.", timeout=TIMEOUT * 1000
        )
        expect(other.locator(".output pre")).to_have_text("third")
        (root / "book" / "third.md").unlink()
        errors = tab.locator("#live pre")
        expect(errors).to_contain_text("Check _toc.yml")
        live.write("_toc.yml", toc)
        expect(tab.locator("#live")).to_be_hidden()
        expect(tab.locator(".sidebar-tree")).not_to_contain_text("Third")
        expect(other.locator("h1")).to_have_text("Page not found")


def test_edit_of_a_helper_module_runs_the_pages_that_import_it(
    small: Small, tab: Page, tmp_path: Path
) -> None:
    code = tmp_path / "code"
    shutil.copytree(ROOT / "code", code, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    helper = code / "onions" / "diagrams.py"  # a module that pages may import
    text = helper.read_text("utf-8")
    helper.write_text(f'{text}\n\nWORD = "before"\n', "utf-8")
    cell = "```{code-cell} python\n:tags: [build-only, remove-input]\n"
    cell += "from onions.diagrams import WORD\n\nprint(WORD)\n```\n"
    root = small(index=f"# First\n\nText.\n\n{cell}", second=SECOND)
    with start_live(root, code=code) as (live, url):
        tab.goto(url)  # the preview runs the pages, since none has run yet
        output = tab.locator(".output pre")
        expect(output).to_have_text("before")
        live.wait("second: executed")
        helper.write_text(f'{text}\n\nWORD = "after"\n', "utf-8")
        expect(output).to_have_text("after")
        live.wait("index: executed")
        assert "second: running" not in live.output


def test_smoke_run_comes_first(small: Small, tab: Page) -> None:
    code = "import os\n\nprint(os.environ['ONIONS_PROFILE'])"
    root = execute(small(index=FIRST))
    with start_live(root, "--profile", "smoke") as (live, url):
        tab.goto(url)
        live.edit("book/index.md", "print(6 * 7)", code)
        live.wait("index: running for one epoch")
        live.wait("index: executed for one epoch")
        live.wait("index: running …")
        expect(tab.locator(".output pre").first).to_have_text("full")


def test_text_can_be_edited_without_the_packages_that_run_code(small: Small, tab: Page) -> None:
    root = execute(small(index=FIRST))
    blocked = root / "blocked"
    blocked.mkdir()
    block = "import sys\nfor name in ('tensorflow', 'keras', 'numpy', 'matplotlib', 'ipykernel',"
    block += " 'rich', 'wrapt', 'pandas'):\n    sys.modules[name] = None\n"
    (blocked / "sitecustomize.py").write_text(block)
    python_path = Path(f"{blocked}{os.pathsep}{ROOT / 'code'}")
    with start_live(root, code=python_path) as (live, url):
        tab.goto(url)
        live.edit("book/index.md", "Some text.", "Some better text.")
        expect_text(tab, "Some better text.")
        live.edit("book/index.md", "print(6 * 7)", "print(6 * 8)")
        errors = tab.locator("#live pre")
        expect(errors).to_contain_text("make install")
        expect_text(tab, "The answer is 42.")


def test_taken_port_is_an_error(session: tuple[Live, str]) -> None:
    live, url = session
    port = re.sub(r"\D", "", url.rpartition(":")[2])
    done = run_onions(live.root, "live", "--port", port)
    assert done.returncode == 2 and f"port {port} is taken. Choose another" in done.stderr


def test_page_that_never_ran_is_shown_with_placeholders(small: Small) -> None:
    quiz = (
        ":::{quiz} more\nHow many?\n\nMany\n: `answer > 40` Yes.\n\nFew\n: `answer <= 40` No.\n:::"
    )
    root = execute(small(index=FIRST + quiz))
    small(
        index=FIRST.replace("6 * 7", "6 * 8").replace("{glue:text}`answer`", "{glue:text}`new`")
        + quiz
    )
    shutil.rmtree(root / "_build" / "store")
    project = Project(root)
    run_onions(root, "plan")  # writes build.json, which the preview needs
    preview = render_preview(project, [Build.read(project.store)], {})
    assert not preview.error and list(preview.pending) == ["index"]
    page = (root / "_build" / "live" / "html" / "index.html").read_text("utf-8")
    assert "The answer is …." in page and "How many?" in page and not preview.warnings.get("index")
    assert not (root / "_build" / "html").exists()  # the preview is not published


def test_what_another_page_or_a_file_changes_reaches_the_preview(small: Small) -> None:
    """Each tab reloads when its page's digest changes."""
    picture = ":::{figure} dot.png\n:name: fig-dot\n:alt: A dot.\n\nA dot.\n:::\n"
    second = "# Second\n\nSee {numref}`fig-dot`.\n\n```{literalinclude} ../tool.py\n```\n"
    root = small(index=f"# First\n\n{picture}", second=second)
    (root / "tool.py").write_text("one = 1\n")
    Image.new("RGB", (8, 8), "red").save(root / "book" / "dot.png")
    project = Project(root)
    run_onions(root, "plan")

    def render() -> tuple[dict[str, str], dict[str, list[str]]]:
        preview = render_preview(project, [Build.read(project.store)], {})
        assert not preview.error and preview.files == {root / "tool.py", root / "book" / "dot.png"}
        return preview.digests, preview.warnings

    before, _ = render()
    Image.new("RGB", (8, 8), "blue").save(root / "book" / "dot.png")
    picture_replaced, _ = render()
    assert picture_replaced["index.html"] != before["index.html"]
    (root / "tool.py").write_text("one = 2\n")
    file_changed, warnings = render()
    assert file_changed["second.html"] != before["second.html"]
    assert not any(warnings.values())
    page = root / "book" / "index.md"
    page.write_text(page.read_text().replace(":name: fig-dot\n", ""))
    _, warnings = render()
    assert "fig-dot" in str(warnings["second"])
    page.write_text(page.read_text().replace(":alt:", ":name: fig-dot\n:alt:"))
    repaired, warnings = render()
    assert repaired == file_changed and not any(warnings.values())


def test_the_folder_of_an_included_file_is_watched(tmp_path: Path) -> None:
    project, folder = Project(tmp_path / "project"), tmp_path / "scripts"
    folder.mkdir()
    session = LiveSession(project, [], EventChannel(), lambda line: None, renderer=mock.Mock())
    session.outdated = False
    session._on_previewed(Preview(files={folder / "tool.py"}, digests={"a.html": ""}))
    deadline = time.monotonic() + TIMEOUT
    while session.events.empty() and time.monotonic() < deadline:  # until the watcher is ready
        (folder / "tool.py").write_text(f"{time.monotonic()}")
        time.sleep(0.05)
    _, [changed] = session.events.get()
    session.close()
    assert changed == folder / "tool.py" and session._can_change_preview(changed)
    assert not session._can_change_preview(folder / "other.py")


def test_an_event_of_a_tab_never_changes() -> None:
    """The main thread changes its dictionaries while other threads send events."""
    channel = EventChannel()
    event: dict[str, object] = {"waits": "", "problems": []}
    channel.publish({"a.html": event, "": {}})
    event["problems"] = ["a problem"]
    assert next(channel.follow("a.html")) == '{"waits": "", "problems": []}'
    assert next(channel.follow("new.html")) == "{}"


def test_a_killed_render_process_is_replaced(small: Small) -> None:
    project = Project(small(index=FIRST))
    assert run_onions(project.root, "execute").returncode == 0
    arguments = project, [Build.read(project.store)], dict[str, str]()
    renderer = RenderProcess()
    renderer._process.kill()
    assert renderer.preview(*arguments).error == (
        "The render process has ended. Save a file to retry."
    )
    preview = renderer.preview(*arguments)
    renderer.stop()
    assert not preview.error and preview.read == ["index"]


def test_pages_read_by_a_superseded_preview_are_reported(tmp_path: Path) -> None:
    """Sphinx does not read them again, so the next preview repeats no warning."""
    lines: list[str] = []
    session = LiveSession(Project(tmp_path), [], EventChannel(), lines.append, renderer=mock.Mock())
    warning = "a.md:3: WARNING: unknown document: 'nowhere'"
    pages = {"a.html": "", "b.html": ""}
    session.outdated, session.rendering_since = True, time.monotonic()
    session._on_previewed(Preview(read=["a"], warnings={"": [], "a": [warning]}, digests=pages))
    session.outdated = False
    session._on_previewed(Preview(read=["b"], warnings={"": [], "b": []}, digests=pages))
    assert re.fullmatch(r"Rendered in [\d.]+ s: a, b\.", lines[0]) and lines[1:] == [warning]
    assert session.warnings["a"] == [warning]
    session._on_previewed(Preview(digests={"b.html": ""}))  # the page was removed
    assert "a" not in session.warnings
    session.close()
