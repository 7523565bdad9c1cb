"""Outputs that the site can't show, and runs that would not repeat."""

import re
from pathlib import Path
from typing import Any

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output
from onions.book.project import Project
from onions.run.cells import PageFailed
from onions.run.clean import LIBRARIES, clean_outputs, shown_line
from onions.run.outputs import check_outputs
from support.pages import BUILD_ONLY_TAGS, EXPORT_TAGS, cell, entry
from support.projects import Small, run_onions

ADDRESS = "<Line2D at 0x7f3c2a1b>"
WIDGET = "application/vnd.jupyter.widget-view"
PAGE = "# Title\n\n" + cell("x = 1") + cell("y = 1")


def stream(text: str, name: str = "stdout") -> NotebookNode:
    return new_output("stream", text=text, name=name)


def shown(data: dict[str, str], metadata: dict[str, Any] | None = None) -> NotebookNode:
    return new_output("display_data", data, metadata=metadata or {})


def error(*traceback: str) -> NotebookNode:
    return new_output("error", ename="E", evalue="", traceback=list(traceback))


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        (stream("ready\n"), ""),
        (stream("A warning\n", "stderr"), "the cell writes to stderr:\n  A warning\n"),
        (shown({"image/png": "iVBO", "text/plain": "<Figure>"}), ""),
        (shown({"text/html": "<b>1</b>", "text/plain": "<Table at 0x7f3c>"}), ""),
        (shown({"text/html": "<video src='data:video/mp4;base64,AA'></video>"}), ""),
        (shown({"text/html": "<b onclick='f()'>1</b>"}), "contains the script in onclick of <b>"),
        (
            shown(
                {"text/html": "<link href='https://a.org/b.css'><script src='//c.org'></script>"}
            ),
            "contains <link> with https://a.org/b.css and <script> with //c.org, which the site's",
        ),
        (shown({"application/json": "1"}), "the output is application/json, which"),
        (shown({"application/javascript": "1", "text/plain": "1"}), "application/javascript"),
        (shown({f"{WIDGET}+json": "{}", "text/plain": "1"}), "widget-view"),
        (shown({"application/x": "1"}, {"onions": {"measure": {}}}), ""),
        (shown({"text/plain": f"[{ADDRESS}]"}), f"a memory address ({ADDRESS})"),
        (stream("<object at 0x7f3c2a1b>\n"), "a memory address"),
        (stream("\x1b[31mred\x1b[0m and\ttab\n"), ""),
        (stream("up \x1b[A\n"), r"the control character '\x1b[A'"),
        (stream("bell \x07\n"), r"the control character '\x07'"),
        (shown({"text/latex": "$\\frac{a}{b}$", "text/plain": "a/b"}), ""),
        (shown({"text/latex": "$$a$$ and $b$"}), "LaTeX that the page can't show (Unsupported"),
        (
            shown({"text/latex": "\\begin{align} a \\end{align}"}),
            'Environment "align" not supported',
        ),
        (shown({"text/latex": "\\nonsense", "text/html": "<b>a</b>"}), ""),
        (error("at 0x7f3c"), ""),
        (error(f"ValueError: {ADDRESS}"), f"a memory address ({ADDRESS})"),
        (stream(f"'{LIBRARIES[0]}/a.py'\n"), f"a path of this machine ({LIBRARIES[0]}/a.py)"),
        (
            stream("/tmp/onions-ab_cd9fg/page"),  # noqa: S108
            "path of this machine (/tmp/onions-ab_cd9fg/page)",
        ),
    ],
)
def test_an_output_that_the_site_cannot_show_is_named(
    small: Small, output: NotebookNode, problem: str
) -> None:
    page = Project(small(index=PAGE)).page("index")
    notebook = new_notebook(cells=[new_code_cell(), new_code_cell(outputs=[output])])
    if not problem:
        check_outputs(page, notebook)
        return
    with pytest.raises(PageFailed, match=rf"index\.md:8: .*{re.escape(problem)}") as raised:
        check_outputs(page, notebook)
    assert str(raised.value).endswith(".")


@pytest.mark.parametrize(
    ("printed", "shown_text"),
    [
        ("0 1 2 3 ", "0 1 2 3 "),
        ("10 %\r55 %\r100 %", "100 %"),
        ("done 100 %\rshort", "short100 %"),  # a terminal erases nothing by itself
        ("done 100 %\r\x1b[Kshort", "short"),
        ("done\x1b[2K\rnew", "new"),
        ("abcd\b\bX", "abXd"),
        ("ab\r\x1b[31mX\x1b[0m", "\x1b[31mXb\x1b[0m"),
        ("abc\r\x1b[1K", " bc"),
        ("\b\bx", "x"),
        ("text\r", "text"),
    ],
)
def test_a_line_is_what_a_terminal_shows(printed: str, shown_text: str) -> None:
    assert shown_line(printed) == shown_text


def test_printed_text_does_not_depend_on_the_pieces_in_which_it_arrives() -> None:
    text = "\n\n0 1 2 \n  indented\n\nstep 1\rstep 2\nlast"
    figure = shown({"image/png": "iVBO"})
    for size in (1, 2, 7, len(text)):
        pieces = [stream(text[i : i + size]) for i in range(0, len(text), size)]
        notebook = new_notebook(cells=[new_code_cell(outputs=[*pieces, figure, stream("end")])])
        clean_outputs(notebook)
        (cell_,) = notebook.cells
        assert [o.get("text") for o in cell_.outputs] == [
            "\n\n0 1 2 \n  indented\n\nstep 2\nlast", None, "end",
        ]  # fmt: skip


def test_messages_between_printed_texts_do_not_split_them() -> None:
    outputs = [stream("a"), stream("W", "stderr"), stream("b\n"), stream("!", "stderr")]
    notebook = new_notebook(cells=[new_code_cell(outputs=outputs)])
    clean_outputs(notebook)
    assert [(o.name, o.text) for o in notebook.cells[0].outputs] == [
        ("stdout", "ab\n"), ("stderr", "W!"),
    ]  # fmt: skip


def test_a_traceback_names_no_folder_of_this_machine() -> None:
    outputs = [error(*(f"File {folder}/package/a.py:3, in f(x)" for folder in LIBRARIES))]
    notebook = new_notebook(cells=[new_code_cell(outputs=outputs)])
    clean_outputs(notebook)
    assert {*notebook.cells[0].outputs[0].traceback} == {"File package/a.py:3, in f(x)"}


@pytest.mark.kernel
def test_a_page_shows_what_a_terminal_shows_whatever_the_timing(small: Small) -> None:
    loop = (
        'import time\n\nfor i in range(4):\n    print(i, end=" ", flush=True)\n    time.sleep(0.4)'
    )
    progress = 'for i in range(3):\n    print(f"\\rstep {i}", end="", flush=True)'
    blank = 'print()\nprint("a")\nprint()\nprint()\nprint("b")'
    root = small(index="# Title\n\n" + cell(loop) + cell(progress) + cell(blank))
    for command in ("execute", "render"):
        assert run_onions(root, command).returncode == 0
    html = (root / "_build/html/index.html").read_text("utf-8")
    blocks = re.findall(r'class="output stream.*?<pre[^>]*>(.*?)</pre>', html, re.S)
    texts = [re.sub("<.*?>", "", block) for block in blocks]
    assert texts == ["0 1 2 3 \n", "step 2\n", "\na\n\n\nb\n"]


@pytest.mark.kernel
def test_a_page_that_render_would_refuse_fails_and_is_not_stored(small: Small) -> None:
    root = small(
        index="# Warns\n\n" + cell("import warnings\nwarnings.warn('An old name.')"),
        unhashed="# Unhashed\n\n" + cell("__import__('onions.cli')"),
    )
    done = run_onions(root, "execute")
    assert done.returncode == 3
    assert re.search(r"index\.md:4: the cell writes to stderr:\n.*An old name", done.stderr, re.S)
    assert "unhashed.md: imports onions/" in done.stderr and "onions/cli.py" in done.stderr
    assert entry(root, "index") is None and entry(root, "unhashed") is None


# Pages of each kind: what they print, draw, compute, train and export, without a seed of their own.
KINDS = {
    "numbers": "import random\nimport numpy as np\n\n"
    "print(random.random(), np.random.rand(3), hash('a'), {'a', 'b', 'c'})",
    "figure": "import matplotlib.pyplot as plt\nimport numpy as np\n\n"
    "plt.plot(np.random.rand(9), label='a')\nplt.legend();",
    "network": "import keras\nimport numpy as np\nimport tensorflow as tf\n\n"
    "model = keras.Sequential([keras.layers.Dropout(0.5), keras.layers.Dense(4)])\n"
    "model.compile(loss='mse')\n"
    "x = np.random.rand(64, 8)\n"
    "history = model.fit(x, x[:, :4], epochs=2, verbose=0)\n"
    "print(history.history, model.predict(x[:2], verbose=0), keras.random.normal((2,)))\n"
    "print(tf.random.normal((2,)))\n"
    "print(list(tf.data.Dataset.range(9).shuffle(9).as_numpy_iterator()))\n"
    "model.summary()",
}
RECORDS = cell(
    "import random\nfrom onions.claims import measure\nmeasure('m', random.random())",
    BUILD_ONLY_TAGS,
) + cell("from onions.exports import export\nexport('e', value=random.random())", EXPORT_TAGS)


@pytest.mark.kernel
def test_a_run_repeats_in_every_output(small: Small) -> None:
    pages = {name: f"# {name}\n\n{cell(code)}{RECORDS}" for name, code in KINDS.items()}
    root = small(**pages)
    runs = []
    for _ in range(2):
        done = run_onions(root, "execute")
        assert done.returncode == 0, done.stderr
        runs.append({name: outputs(root, name) for name in pages})
        for path in (root / "_build" / "store").glob("*.ipynb"):
            path.unlink()
    for name in pages:
        assert runs[0][name] == runs[1][name], name


def outputs(root: Path, name: str) -> tuple[str, list[NotebookNode]]:
    """Return everything that a page printed, and its other outputs."""
    notebook = entry(root, name)
    assert notebook is not None
    outputs = [output for cell in notebook.cells for output in cell.outputs]
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    return printed, [output for output in outputs if output.output_type != "stream"]
