"""The tools that compare.py compares: each tool's pages, configuration and commands.

Each tool works in its own folder, on a copy of the pages in its own format. The other tools' pages
keep their text, code and captions, but not the directives of this project's extension; for a tool
that reads only Markdown, other directives and roles become plain text. All tools run the cells with
`onions.kernel`, and so the same code on the same data and versions.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from textwrap import indent

import nbformat
import yaml
from onions.base.cores import cores
from onions.book.page import Page
from onions.images.sources import Source
from page_text import plain_markdown, remove_our_directives

ROOT = Path(__file__).parents[1]
PINS = Path(__file__).parent / "peers"
BENCH = ROOT / "_build" / "bench"
SOURCE = BENCH / "source"  # a copy of the project, isolated from edits during a run
CODE = SOURCE / "code"
FILES = ("_config.yml", "_toc.yml", "requirements.lock")
PANDOC = "lib/*/site-packages/pypandoc/files"  # in a virtual environment
TITLE = "Networks are like onions"


class NotInstalled(Exception):
    """A tool's packages can't be installed on this machine."""


@dataclass(frozen=True)
class Tool:
    """A way to build the book.

    `write` writes the pages into a folder. `commands` returns the command lines that build the book
    there, in order; the first failure ends the build. The output has a file for each page, in the
    folder `site`; `page` returns its name.
    """

    name: str
    title: str
    settings: str  # shown in the results
    write: Callable[[Path, Sequence[Page]], None]
    commands: Callable[[Path], list[list[str]]]
    site: str
    packages: tuple[str, ...]  # whose versions are shown in the results
    page: Callable[[str], str] = "{}.html".format

    @property
    def folder(self) -> Path:
        """The folder in which the tool works."""
        return BENCH / self.name

    def file(self, name: str) -> Path:
        """Return the built file of a page."""
        return self.folder / "work" / self.site / self.page(name)

    def install(self) -> None:
        """Make the tool's environment if its lock changed. Raises NotInstalled if that fails."""
        lock = PINS / f"{self.name}.lock"
        ready = self.folder / "venv" / "installed.lock"
        if not lock.exists() or (ready.exists() and ready.read_bytes() == lock.read_bytes()):
            return
        uv, venv = str(Path(sys.executable).with_name("uv")), str(self.folder / "venv")
        for command in (
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, venv],
            [uv, "pip", "install", "--quiet", "--require-hashes", "-r", str(lock)],
        ):
            result = subprocess.run(command, env=os.environ | {"VIRTUAL_ENV": venv}, text=True)
            if result.returncode:
                raise NotInstalled("its packages can't be installed", " ".join(command))
        shutil.copy(lock, ready)

    def environment(self, source: Source, profile: str) -> dict[str, str]:
        """Return the environment variables of the commands: data, profile and kernels."""
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
    """Copy the project, and install the kernel that all tools use; it loads `onions.kernel`."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    copy_book(SOURCE)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "code" / "onions", CODE / "onions", ignore=ignored)
    (SOURCE / "_build").symlink_to(ROOT / "_build")  # shares the drawn images
    options = ["--IPKernelApp.extra_extensions=onions.kernel", "--IPKernelApp.capture_fd_output=0"]
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", *options]
    kernel = {"argv": argv, "display_name": "Python 3", "language": "python"}
    write_if_changed(BENCH / "jupyter" / "kernels" / "python3" / "kernel.json", json.dumps(kernel))
    server = {"ServerApp": {"allow_root": True}}  # containers often run as root
    write_if_changed(BENCH / "jupyter" / "jupyter_server_config.json", json.dumps(server))


def copy_book(folder: Path) -> None:
    """Copy the pages and their configuration into a folder."""
    shutil.copytree(ROOT / "book", folder / "book")
    for name in FILES:
        shutil.copy(ROOT / name, folder)


def onions_command(folder: Path, name: str) -> list[str]:
    """Return the command line of an `onions` command on the book in a folder."""
    return [sys.executable, "-m", "onions.cli", "--project", str(folder), name]


def script_command(folder: Path) -> list[str]:
    """Return the command line that runs the cells of the book in a folder in one process."""
    return [sys.executable, str(Path(__file__).with_name("script.py")), str(folder)]


def write_if_changed(path: Path, content: bytes | str) -> None:
    """Write a file if its content changed; some tools rebuild files with a new time."""
    new = content.encode() if isinstance(content, str) else content
    if not path.exists() or path.read_bytes() != new:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(new)


def _program(tool: str, name: str) -> str:
    return str(BENCH / tool / "venv" / "bin" / name)


def _config(folder: Path, name: str, settings: object) -> None:
    write_if_changed(folder / name, yaml.safe_dump(settings, sort_keys=False))


def _notebook(page: Page, **hidden: object) -> str:
    """Return a page as a notebook without outputs; `hidden` is the metadata of hidden cells."""
    notebook = nbformat.v4.new_notebook()
    for number, cell in enumerate(page.notebook.cells):
        if cell.cell_type == "code":
            tags = cell.metadata.get("tags", [])
            metadata = {"tags": tags, **(hidden if "remove-cell" in tags else {})}
            new = nbformat.v4.new_code_cell(cell.source, metadata=metadata)
        else:
            new = nbformat.v4.new_markdown_cell(plain_markdown(cell.source))
        new.id = f"cell-{number}"  # stable between builds
        notebook.cells.append(new)
    if page.cells:
        notebook.metadata["kernelspec"] = page.notebook.metadata.kernelspec
    return str(nbformat.writes(notebook))


def _write_simple(folder: Path, pages: Sequence[Page]) -> list[str]:
    """Write pages with code as notebooks, other pages as Markdown; return the file names."""
    files = []
    for page in pages:
        files.append(f"{page.name}.{'ipynb' if page.cells else 'md'}")
        text = "\n\n".join(plain_markdown(cell.source) for cell in page.notebook.cells) + "\n"
        write_if_changed(folder / files[-1], _notebook(page) if page.cells else text)
    _static(folder)
    return files


def _static(folder: Path) -> None:
    for picture in (SOURCE / "book" / "_static").glob("*.svg"):
        write_if_changed(folder / "_static" / picture.name, picture.read_bytes())


def _write_ours(folder: Path, pages: Sequence[Page]) -> None:
    for path in (SOURCE / "book").rglob("*"):
        if path.is_file() and path.suffix != ".md":
            write_if_changed(folder / path.relative_to(SOURCE), path.read_bytes())
    for page in pages:
        write_if_changed(folder / "book" / f"{page.name}.md", page.text)
    for name in FILES:
        write_if_changed(folder / name, (SOURCE / name).read_bytes())


def _ours(folder: Path) -> list[list[str]]:
    return [onions_command(folder, name) for name in ("execute", "render")]


def _write_jupyter_book(folder: Path, pages: Sequence[Page]) -> None:
    for page in pages:
        write_if_changed(folder / f"{page.name}.md", remove_our_directives(page.text))
    _static(folder)
    for name in ("references.bib", "reference/reference_runs.json"):
        write_if_changed(folder / name, (SOURCE / "book" / name).read_bytes())
    write_if_changed(folder / "_toc.yml", (SOURCE / "_toc.yml").read_bytes())
    settings = {
        "title": TITLE,
        "author": f"the authors of {TITLE}",
        "only_build_toc_files": True,
        "execute": {"execute_notebooks": "cache", "timeout": -1, "raise_on_error": True},
        "parse": {"myst_enable_extensions": ["colon_fence", "deflist", "dollarmath"]},
        "bibtex_bibfiles": ["references.bib"],
        "sphinx": {"extra_extensions": ["sphinx_exercise"]},
    }
    _config(folder, "_config.yml", settings)


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
        write_if_changed(folder / f"{page.name}.ipynb", _notebook(page, nbsphinx="hidden"))
    _static(folder)
    write_if_changed(folder / "conf.py", NBSPHINX.format(title=TITLE))
    names = "\n".join(f"   {page.name}" for page in pages)
    write_if_changed(
        folder / "contents.rst", f"{TITLE}\n{'=' * len(TITLE)}\n\n.. toctree::\n\n{names}\n"
    )


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
    # An empty theme; without a theme, mystmd would download one.
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
        blocks = [f'r"""\n{_rst(plain_markdown(head.source))}"""']
        for cell in others:
            is_code = cell.cell_type == "code"
            text = cell.source if is_code else indent(_rst(plain_markdown(cell.source)), "# ", bool)
            blocks.append(f"# %%\n{text}")
        name = page.name.rpartition("/")[2]
        write_if_changed(folder / "examples" / f"page_{name}.py", "\n\n".join(blocks) + "\n")
    heading = f"{TITLE}\n{'=' * len(TITLE)}\n"
    write_if_changed(folder / "examples" / "GALLERY_HEADER.rst", heading)
    write_if_changed(folder / "contents.rst", f"{heading}\n.. toctree::\n\n   pages/index\n")
    write_if_changed(folder / "conf.py", GALLERY.format(title=TITLE, jobs=cores()))
    write_if_changed(CODE / "hooks.py", HOOKS)
    _static(folder)


@cache
def _rst(text: str) -> str:
    """Convert Markdown to reStructuredText, with the pandoc in Sphinx-Gallery's environment."""
    (files,) = (BENCH / "sphinx-gallery" / "venv").glob(PANDOC)
    command = [str(files / "pandoc"), "-f", "markdown", "-t", "rst", "--wrap=none"]
    return subprocess.run(command, input=text, text=True, capture_output=True, check=True).stdout


def _gallery(folder: Path) -> list[list[str]]:
    options = ["--keep-going", "-W", str(folder), str(folder / "_build" / "html")]
    return [[_program("sphinx-gallery", "sphinx-build"), *options]]


def _script(folder: Path) -> list[list[str]]:
    return [script_command(folder)]


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
            "Notebooks without outputs, run when Sphinx reads them; Sphinx in parallel, warnings "
            "as errors, Sphinx's default theme.",
            _write_nbsphinx,
            _nbsphinx,
            "_build/html",
            ("nbsphinx", "sphinx"),
        ),
        Tool(
            "mkdocs-jupyter",
            "mkdocs-jupyter",
            "execute, with its cache; errors not allowed, strict, the Material theme without web "
            "fonts.",
            _write_mkdocs,
            _mkdocs,
            "site",
            ("mkdocs-jupyter", "mkdocs", "mkdocs-material"),
        ),
        Tool(
            "mystmd",
            "mystmd (Jupyter Book 2)",
            "Parallel execution with its cache, strict. No HTML: its theme is on no package "
            "registry, so only the site's content is built.",
            _write_mystmd,
            _mystmd,
            "_build/site/content",
            ("mystmd",),
            page=lambda name: f"{name.replace('_', '-')}.json",
        ),
        Tool(
            "sphinx-gallery",
            "Sphinx-Gallery",
            "Pages as scripts, its MD5 cache, in parallel, warnings as errors, Sphinx's default "
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
            "The cells of all pages, one after another in one process; it makes no pages.",
            _write_ours,
            _script,
            "",
            (),
        ),
    )
}
