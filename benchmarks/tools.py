"""The tools that compare.py compares: how each gets our pages, is configured, and is called.

Each has a folder of its own, with a copy of the pages as it reads them. Pages keep their text, code
and captions; what only this project's extension knows is left out, and where a tool reads Markdown
alone, other directives and roles become plain text. The kernels are those of this project's own
environment, with `onions.kernel`, so that all run the same code on the same data and versions.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from textwrap import indent

import nbformat
import stock
import yaml
from onions.data import Source
from onions.kernel import cores
from onions.pages import Page

ROOT = Path(__file__).parents[1]
PINS = Path(__file__).parent / "peers"
BENCH = ROOT / "_build" / "bench"
SOURCE = BENCH / "source"  # a copy of the project, so that an edit during a run is no part of it
CODE = SOURCE / "code"
FILES = ("_config.yml", "_toc.yml", "requirements.lock")
PANDOC = "lib/*/site-packages/pypandoc/files"  # in an environment
TITLE = "Networks are like onions"

FENCED = re.compile(
    r"^(`{3,}|:{3,})\{([a-z-]+)\} ?(.*)\n((?::[a-z-]+:.*\n)*)([\s\S]*?)^\1\s*$", re.M
)
ROLE = re.compile(r"\{([a-z:]+)\}`(?:([^`<]*?)\s*<[^`>]*>|([^`]*))`")
TITLED = {"exercise-start": "Exercise: {}", "solution-start": "Solution", "admonition": "{}"}


class NotInstalled(Exception):
    """A tool's packages can't be had here."""


@dataclass(frozen=True)
class Tool:
    """A way to build the book.

    `write` puts the pages into a folder, `commands` build it from there, one after the other, as
    far as they succeed; what comes out is in the folder `site`, a file for each page.
    """

    name: str
    title: str
    settings: str  # for the reader of the results
    write: Callable[[Path, Sequence[Page]], None]
    commands: Callable[[Path], list[list[str]]]
    site: str
    packages: tuple[str, ...]  # those whose versions the results name
    page: Callable[[str], str] = "{}.html".format
    theme: bool = True  # whether what comes out is HTML

    @property
    def folder(self) -> Path:
        """Where the tool works."""
        return BENCH / self.name

    def file(self, name: str) -> Path:
        """Return the file that shows a page."""
        return self.folder / "work" / self.site / self.page(name)

    def install(self) -> None:
        """Make its environment from its lock, where that is not done. Raises NotInstalled."""
        lock = PINS / f"{self.name}.lock"
        ready = self.folder / "venv" / "installed.lock"
        if not lock.exists() or (ready.exists() and ready.read_bytes() == lock.read_bytes()):
            return
        uv, venv = _beside(sys.executable, "uv"), str(self.folder / "venv")
        for command in (
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, venv],
            [uv, "pip", "install", "--quiet", "--require-hashes", "-r", str(lock)],
        ):
            done = subprocess.run(command, env=os.environ | {"VIRTUAL_ENV": venv}, text=True)
            if done.returncode:
                raise NotInstalled("its packages do not install here", " ".join(command))
        shutil.copy(lock, ready)

    def environment(self, source: Source, profile: str) -> dict[str, str]:
        """Return the environment of its commands: the data, the profile, our kernels."""
        venv = self.folder / "venv"
        path = [str(venv / "bin"), *map(str, venv.glob(PANDOC)), os.environ["PATH"]]
        return os.environ | {
            "PATH": os.pathsep.join(path),
            "PYTHONPATH": str(CODE),
            "ONIONS_DATA": source.path or source.name,
            "ONIONS_SOURCE": json.dumps(asdict(source)),
            "ONIONS_PROFILE": profile,
            "JUPYTER_PATH": str(BENCH / "jupyter"),
            "JUPYTER_CONFIG_DIR": str(BENCH / "jupyter"),
            "IPYTHONDIR": str(BENCH / "ipython"),
            "KERAS_HOME": str(BENCH / "keras"),
            "KERAS_BACKEND": "tensorflow",
            "PYTHONHASHSEED": "0",
        }


def prepare() -> None:
    """Copy the project, and say which kernel runs the pages: this environment's, with our hooks."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    for folder in ("book", "code/onions"):
        shutil.copytree(
            ROOT / folder, SOURCE / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in FILES:
        shutil.copy(ROOT / name, SOURCE)
    (SOURCE / "_build").symlink_to(ROOT / "_build")  # where drawn pictures are kept
    options = ["--IPKernelApp.extra_extensions=onions.kernel", "--IPKernelApp.capture_fd_output=0"]
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", *options]
    facts = {"argv": argv, "display_name": "Python 3", "language": "python"}
    put(BENCH / "jupyter" / "kernels" / "python3" / "kernel.json", json.dumps(facts))
    server = {"ServerApp": {"allow_root": True}}  # in a container, nobody else is there
    put(BENCH / "jupyter" / "jupyter_server_config.json", json.dumps(server))


def put(path: Path, content: bytes | str) -> None:
    """Write a file, unless it says that already."""
    new = content.encode() if isinstance(content, str) else content
    if not path.exists() or path.read_bytes() != new:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(new)


def simple(text: str) -> str:
    """Return a MyST text as plain Markdown: what directives hold, and what roles say."""
    text, found = stock.plain(text), 1
    while found:
        text, found = FENCED.subn(_content, text)
    return ROLE.sub(_said, text)


def _content(match: re.Match[str]) -> str:
    _, name, argument, _, body = match.groups()
    if name == "figure":
        return f"![{' '.join(body.split())}]({argument})\n"
    title = TITLED.get(name, "").format(argument)
    return f"**{title}**\n\n{body}" if title else body


def _said(match: re.Match[str]) -> str:
    role, title, text = match.groups()
    given = {"glue:text": "a number", "numref": "the figure", "cite": ""}
    return given.get(role, title or (text or "").rpartition("/")[2])


def _beside(python: str | Path, name: str) -> str:
    return str(Path(python).with_name(name))


def _program(tool: str, name: str) -> str:
    return str(BENCH / tool / "venv" / "bin" / name)


def _config(folder: Path, name: str, settings: object) -> None:
    put(folder / name, yaml.safe_dump(settings, sort_keys=False))


def _notebook(page: Page, **hidden: object) -> str:
    """Return a page as a notebook that was not run; `hidden` marks a cell that no reader sees."""
    notebook = nbformat.v4.new_notebook()
    for number, cell in enumerate(page.notebook.cells):
        if cell.cell_type == "code":
            tags = cell.metadata.get("tags", [])
            facts = {"tags": tags, **(hidden if "remove-cell" in tags else {})}
            new = nbformat.v4.new_code_cell(cell.source, metadata=facts)
        else:
            new = nbformat.v4.new_markdown_cell(simple(cell.source))
        new.id = f"cell-{number}"  # the same each time
        notebook.cells.append(new)
    if page.cells:
        notebook.metadata["kernelspec"] = page.notebook.metadata.kernelspec
    return str(nbformat.writes(notebook))


def _write_simple(folder: Path, pages: Sequence[Page]) -> list[str]:
    """Write pages with code as notebooks, the others as Markdown; return the files' names."""
    files = []
    for page in pages:
        files.append(f"{page.name}.{'ipynb' if page.cells else 'md'}")
        text = "\n\n".join(simple(cell.source) for cell in page.notebook.cells) + "\n"
        put(folder / files[-1], _notebook(page) if page.cells else text)
    _static(folder)
    return files


def _static(folder: Path) -> None:
    for picture in (SOURCE / "book" / "_static").glob("*.svg"):
        put(folder / "_static" / picture.name, picture.read_bytes())


def _write_ours(folder: Path, pages: Sequence[Page]) -> None:
    for path in (SOURCE / "book").rglob("*"):
        if path.is_file() and path.suffix != ".md":
            put(folder / path.relative_to(SOURCE), path.read_bytes())
    for page in pages:
        put(folder / "book" / f"{page.name}.md", page.text)
    for name in FILES:
        put(folder / name, (SOURCE / name).read_bytes())


def _ours(folder: Path) -> list[list[str]]:
    onions = [sys.executable, "-m", "onions.cli", "--project", str(folder)]
    return [[*onions, "execute"], [*onions, "render"]]


def _write_jupyter_book(folder: Path, pages: Sequence[Page]) -> None:
    for page in pages:
        put(folder / f"{page.name}.md", stock.plain(page.text))
    _static(folder)
    for name in ("references.bib", "reference/reference_runs.json"):
        put(folder / name, (SOURCE / "book" / name).read_bytes())
    put(folder / "_toc.yml", (SOURCE / "_toc.yml").read_bytes())
    execute = {"execute_notebooks": "cache", "timeout": -1, "raise_on_error": True}
    _config(folder, "_config.yml", {**stock.CONFIG, "execute": execute})


def _jupyter_book(folder: Path) -> list[list[str]]:
    program = _program("jupyter-book", "jupyter-book")
    return [[program, "build", str(folder), "--keep-going", "-W"]]


NBSPHINX = """\
project = "{title}"
extensions = ["nbsphinx", "sphinx.ext.mathjax"]
exclude_patterns = ["_build"]
root_doc = "contents"
nbsphinx_execute = "auto"
nbsphinx_timeout = -1
"""


def _write_nbsphinx(folder: Path, pages: Sequence[Page]) -> None:
    for page in pages:
        put(folder / f"{page.name}.ipynb", _notebook(page, nbsphinx="hidden"))
    _static(folder)
    put(folder / "conf.py", NBSPHINX.format(title=TITLE))
    names = "\n".join(f"   {page.name}" for page in pages)
    put(folder / "contents.rst", f"{TITLE}\n{'=' * len(TITLE)}\n\n.. toctree::\n\n{names}\n")


def _nbsphinx(folder: Path) -> list[list[str]]:
    jobs = ["-j", f"{cores()}", "--keep-going", "-W"]
    build = str(folder / "_build")
    return [[_program("nbsphinx", "sphinx-build"), *jobs, str(folder), f"{build}/html"]]


def _write_mkdocs(folder: Path, pages: Sequence[Page]) -> None:
    files = _write_simple(folder / "docs", pages)
    jupyter = {
        "execute": True,
        "allow_errors": False,
        "kernel_name": "python3",
        "remove_tag_config": {"remove_cell_tags": ["remove-cell"]},
    }
    settings = {
        "site_name": TITLE,
        "theme": {"name": "material", "font": False},
        "plugins": ["search", {"mkdocs-jupyter": jupyter}],
        "use_directory_urls": False,
        "nav": files,
    }
    _config(folder, "mkdocs.yml", settings)


def _mkdocs(folder: Path) -> list[list[str]]:
    program = _program("mkdocs-jupyter", "mkdocs")
    return [[program, "build", "--strict", "--config-file", str(folder / "mkdocs.yml")]]


def _write_mystmd(folder: Path, pages: Sequence[Page]) -> None:
    files = _write_simple(folder, pages)
    # A site needs a theme, whose files come from a server of its own: this one has none.
    _config(folder, "theme/template.yml", {"jtex": "v1", "title": "None", "kind": "site"})
    toc = [{"file": file} for file in files]
    site = {"template": "./theme/template.yml"}
    settings = {"version": 1, "project": {"title": TITLE, "toc": toc}, "site": site}
    _config(folder, "myst.yml", settings)


def _mystmd(folder: Path) -> list[list[str]]:
    build = [_program("mystmd", "myst"), "build", "--site", "--execute", "--strict"]
    return [[*build, "--execute-parallel", f"{cores()}"]]


GALLERY = """\
project = "{title}"
extensions = ["sphinx_gallery.gen_gallery", "sphinx.ext.mathjax"]
exclude_patterns = ["_build", "examples"]
root_doc = "contents"
sphinx_gallery_conf = {{
    "examples_dirs": "examples",
    "gallery_dirs": "pages",
    "filename_pattern": "",
    "within_subsection_order": "FileNameSortKey",
    "reset_modules": ("hooks.install",),
    "parallel": {jobs},
}}
"""
HOOKS = """\
import sys


def install(gallery_conf, fname):
    if "onions.kernel" not in sys.modules:
        from onions import kernel

        kernel.install()
"""


def _write_gallery(folder: Path, pages: Sequence[Page]) -> None:
    """Write pages as scripts whose comments are reStructuredText."""
    for page in pages:
        head, *others = page.notebook.cells
        blocks = [f'r"""\n{_rst(simple(head.source))}"""']
        for cell in others:
            is_code = cell.cell_type == "code"
            text = cell.source if is_code else indent(_rst(simple(cell.source)), "# ", bool)
            blocks.append(f"# %%\n{text}")
        name = page.name.rpartition("/")[2]
        put(folder / "examples" / f"page_{name}.py", "\n\n".join(blocks) + "\n")
    heading = f"{TITLE}\n{'=' * len(TITLE)}\n"
    put(folder / "examples" / "GALLERY_HEADER.rst", heading)
    put(folder / "contents.rst", f"{heading}\n.. toctree::\n\n   pages/index\n")
    put(folder / "conf.py", GALLERY.format(title=TITLE, jobs=cores()))
    put(CODE / "hooks.py", HOOKS)
    _static(folder)


@cache
def _rst(text: str) -> str:
    """Return Markdown as reStructuredText, by pandoc, which comes with that environment."""
    (files,) = (BENCH / "sphinx-gallery" / "venv").glob(PANDOC)
    command = [str(files / "pandoc"), "-f", "markdown", "-t", "rst", "--wrap=none"]
    return subprocess.run(command, input=text, text=True, capture_output=True, check=True).stdout


def _gallery(folder: Path) -> list[list[str]]:
    options = ["--keep-going", "-W", str(folder), str(folder / "_build" / "html")]
    return [[_program("sphinx-gallery", "sphinx-build"), *options]]


def _script(folder: Path) -> list[list[str]]:
    whole_book = str(Path(__file__).with_name("whole_book.py"))
    return [[sys.executable, whole_book, "--script", str(folder)]]


TOOLS = {
    tool.name: tool
    for tool in (
        Tool(
            "onions",
            "This book",
            "onions execute, then onions render; warnings are errors.",
            _write_ours,
            _ours,
            "_build/html",
            (),
        ),
        Tool(
            "jupyter-book",
            "Jupyter Book 1",
            "Its cache (execute_notebooks: cache), raise_on_error, warnings as errors.",
            _write_jupyter_book,
            _jupyter_book,
            "_build/html",
            ("jupyter-book", "myst-nb", "sphinx"),
        ),
        Tool(
            "nbsphinx",
            "nbsphinx",
            "Notebooks without outputs, which run when their page is read; Sphinx in parallel, "
            "warnings as errors, Sphinx's own theme.",
            _write_nbsphinx,
            _nbsphinx,
            "_build/html",
            ("nbsphinx", "sphinx"),
        ),
        Tool(
            "mkdocs-jupyter",
            "mkdocs-jupyter",
            "execute, with its cache; errors not allowed, strict, the theme Material without web "
            "fonts.",
            _write_mkdocs,
            _mkdocs,
            "site",
            ("mkdocs-jupyter", "mkdocs", "mkdocs-material"),
        ),
        Tool(
            "mystmd",
            "mystmd (Jupyter Book 2)",
            "Executes with its cache and in parallel, strict. Without HTML: its theme is on no "
            "package registry, so only the site's content is built.",
            _write_mystmd,
            _mystmd,
            "_build/site/content",
            ("mystmd",),
            page=lambda name: f"{name.replace('_', '-')}.json",
            theme=False,
        ),
        Tool(
            "sphinx-gallery",
            "Sphinx-Gallery",
            "Pages as scripts, its cache by MD5, in parallel, warnings as errors, Sphinx's own "
            "theme.",
            _write_gallery,
            _gallery,
            "_build/html",
            ("sphinx-gallery", "sphinx"),
            page="pages/page_{}.html".format,
        ),
        Tool(
            "script",
            "The bare script",
            "The cells of all pages, one after another in one process, without any page.",
            _write_ours,
            _script,
            "",
            (),
            theme=False,
        ),
    )
}
