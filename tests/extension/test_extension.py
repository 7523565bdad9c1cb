"""Pages that the extension renders in small projects."""

import json
import re
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import pytest
from docutils import nodes
from onions.book.project import Project
from onions.claims import Training
from onions.extension.base.nodes import table
from onions.extension.layout import images
from onions.extension.results import tables
from onions.site import render
from onions.store.build import Build
from onions.store.entries import Store
from PIL import Image
from support.pages import cell, current_fingerprint
from support.projects import Small, read_html, run_onions
from support.runs import build_site, change_run, store_runs

LESSON = """---
lesson:
  teaching: 1
  exercises: 2
  questions: ["Why?"]
  objectives: [do it]
  keypoints: [It is done.]
---
"""


def build(root: Path) -> str:
    """Execute and render; return the HTML of the first page."""
    return read_html(build_site(root), "index")


def test_opening_box_follows_the_title(small: Small) -> None:
    beginnings = {
        "plain": "",
        "label": "(label)=\n",
        "comment": "% A comment.\n\n",
        "code": "```{code-cell} python\n# no title\n```\n\n",
    }
    texts = {name: f"{LESSON}{text}# Title\n\nText.\n" for name, text in beginnings.items()}
    project = build_site(small(**texts))
    for name in texts:
        page = read_html(project, name)
        title, box, prose, points = (
            page.index(part) for part in ("<h1>", "Overview</p>", "<p>Text.", "Key points<a")
        )
        assert title < box < prose < points, name


def test_warning_names_file_and_line(small: Small) -> None:
    root = small(index=LESSON + "# Title\n\nText.\n\nSee {doc}`nowhere`.\n")
    store_runs(root)
    done = run_onions(root, "render")
    line = (root / "book" / "index.md").read_text().splitlines().index("See {doc}`nowhere`.") + 1
    assert done.returncode == 1 and f"index.md:{line}: WARNING: unknown document" in done.stderr


def test_mistyped_measure_gets_a_suggestion(small: Small) -> None:
    code = "from onions.claims import measure\n\nmeasure('answer', 42)"
    root = small(index=f"# Title\n\nIt is {{glue:text}}`answr`.\n\n{cell(code)}")
    store_runs(root)
    done = run_onions(root, "render")
    message = "index.md:3: WARNING: no cell measures answr; did you mean answer?"
    assert done.returncode == 1 and message in done.stderr


def test_an_example_of_a_measure_is_code(small: Small) -> None:
    code = "from onions.claims import measure\n\nmeasure('answer', 42)"
    example = "`` {glue:text}`name` ``\n\n```markdown\n{glue:text}`name`\n```\n"
    page = build(small(index=f"# Title\n\n{{glue:text}}`answer`, as in {example}\n{cell(code)}"))
    assert "42, as in" in page and page.partition("<h1>")[2].count("{glue:text}`name`") == 2


def test_formula_becomes_mathml_and_an_invalid_one_fails_the_render(small: Small) -> None:
    formula = "# Maths\n\nInline $n^2$.\n\n$$n + 1$$ (one)\n\nSee {eq}`one`.\n"
    page = build(small(index=formula))
    assert page.count("<math ") == 2 and '<span class="eqno">(1)</span>' in page
    root = small(index="# Maths\n\n$\\frobnicate{x}$\n")
    done = run_onions(root, "render")
    assert done.returncode == 1 and "index.md:3: WARNING: can't convert this formula" in done.stderr


def test_changed_data_source_reaches_the_page(small: Small) -> None:
    root = small(index="# Data\n\n```{data-used}\n```\n")
    assert "made with the built-in stand-in" in build(root)
    facts = root / "_build" / "store" / "build.json"
    facts.write_text(facts.read_text().replace("the built-in stand-in, not CIFAR-10", "a cat"))
    assert run_onions(root, "render").returncode == 0
    assert "made with a cat" in (root / "_build" / "html" / "index.html").read_text()


def test_published_site_has_no_banner(small: Small) -> None:
    root = small(index="# Title\n\nText.\n")
    assert 'class="announcement"' in build(root)
    project = Project(root)
    facts = project.store / "build.json"
    facts.write_text(facts.read_text().replace('"sketches"', '"cifar10"'))
    assert Build.read(project.store).source.name == "cifar10"
    assert run_onions(root, "render").returncode == 0
    assert 'class="announcement"' not in (root / "_build" / "html" / "index.html").read_text()


def test_figures_of_earlier_runs_are_not_published(small: Small) -> None:
    page = (
        "# Plot\n\n```{code-cell} python\n---\nmystnb: {image: {alt: A line.}}\n---\n"
        "import matplotlib.pyplot as plt\n\nplt.plot([1, 2]);\n```\n"
    )
    build(small(index=page))
    root = small(index=page.replace("[1, 2]", "[2, 1]"))
    html = build(root)
    published = [path.name for path in (root / "_build" / "html" / "_images").iterdir()]
    assert published == re.findall(r'src="_images/([^"]+)"', html)


def test_unchanged_project_is_not_rendered_again(small: Small) -> None:
    root = small(index="# One\n", other="# Other\n")
    build(root)

    def render_again() -> int:
        """Return the inode of the site's folder; each render makes a new folder."""
        assert run_onions(root, "render").returncode == 0
        return (root / "_build" / "html").stat().st_ino

    before = render_again()
    assert render_again() == before
    for path in ("book/other.md", "book/_static/onion.svg", "book/references.bib", "_config.yml"):
        (root / path).write_bytes((root / path).read_bytes() + b"\n")
        assert render_again() != before, path
        before = render_again()
    (root / "_build" / "html" / "other.html").unlink()
    assert render_again() != before and (root / "_build" / "html" / "other.html").exists()
    before = render_again()
    store_runs(root, "--profile", "smoke")
    assert render_again() != before
    assert run_onions(root, "render", GITHUB_SHA="a" * 40).returncode == 0
    assert "a" * 40 in (root / "_build" / "html" / "index.html").read_text("utf-8")


def test_styles_and_scripts_are_one_file_each(small: Small) -> None:
    root = small(index="# One\n")
    page, static = build(root), root / "_build" / "html" / "_static"
    for merged, part in (("book.css", "styles/furo.css"), ("book.js", "scripts/furo.js")):
        assert (static / part).read_text("utf-8") in (static / merged).read_text("utf-8")
    assert re.findall(r'<link rel="stylesheet" href="(.*?)\?', page) == ["_static/book.css"]
    assert re.findall(r'<script src="(.*?)\?', page) == ["_static/book.js"]


@pytest.mark.parametrize("moment", ["copying", "between the renames"])
def test_interrupted_publishing_keeps_a_complete_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    built, target = tmp_path / "built", tmp_path / "html"
    for folder, text in ((built, "new"), (target, "old")):
        folder.mkdir()
        (folder / "index.html").write_text(text)

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if moment == "copying":
            patch.setattr("onions.site.render.shutil.copytree", stop)
        else:
            rename = Path.replace
            patch.setattr(
                Path, "replace", lambda a, b: stop() if a.name == "html.new" else rename(a, b)
            )
        with pytest.raises(KeyboardInterrupt):
            render._publish(built, target, [], {})
    with monkeypatch.context() as patch:
        patch.setattr("onions.site.render.shutil.copytree", stop)  # a second interruption
        with pytest.raises(KeyboardInterrupt):
            render._publish(built, target, [], {})
    assert (target / "index.html").read_text() == "old"
    render._publish(built, target, [], {})
    assert (target / "index.html").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["built", "html"]


def test_table_of_networks_without_trainings_is_rejected(small: Small) -> None:
    root = small(index="# Title\n\n```{models}\n```\n")
    store_runs(root)
    done = run_onions(root, "render")
    assert done.returncode == 1 and "no page of this book records a training" in done.stderr


def test_optional_page_is_marked_optional(small: Small) -> None:
    page = build(
        small(index=LESSON.replace("lesson:\n", "lesson:\n  optional: true\n") + "# Title\n")
    )
    assert (
        "Optional. About 2 min on your own; in class 1 min of teaching and 2 min of exercises"
        in page
    )


GATHERED = """# One

`````{exercise-start} How many
:label: exercise-a
`````
Count. See {numref}`fig-line`.

```{figure} _static/onion.svg
:name: fig-line
:alt: An onion.

A caption.
```
`````{exercise-end}
`````

`````{solution-start} exercise-a
:label: solution-a
`````
As many as here.
`````{solution-end}
`````

:::{instructor}
A note.

```{figure} _static/onion.svg
:name: fig-note
:alt: An onion.

A caption.
```
:::
"""


FIGURE = """
```{figure} _static/onion.svg
:name: NAME
:alt: An onion.

A caption.
```
"""


def test_figures_are_numbered_on_each_page(small: Small) -> None:
    first = "# First\n" + FIGURE.replace("NAME", "fig-one") + FIGURE.replace("NAME", "fig-two")
    second = "# Second\n" + FIGURE.replace("NAME", "fig-three")
    second += "\nSee {numref}`fig-two` and {numref}`fig-three`.\n"
    project = build_site(small(index=first, second=second))
    captions = {"index": ["1", "2"], "second": ["1"]}
    for name, numbers in captions.items():
        page = read_html(project, name)
        assert re.findall(r'caption-number">Fig. (\d+)', page) == numbers
    links = re.findall(r'std-numref">([^<]*)', page)
    assert links == ["Fig. 2 of “First”", "Fig. 1"]


def test_columns_of_numbers_are_aligned_at_the_right() -> None:
    rows = [["a 1", "−1,024", "0.500", "1", "9"], ["b", "7", "", "2, kept: 1", "one"]]
    node = table(["Name", "Whole", "Share", "Epochs", "Mixed"], rows)
    aligned = [[*entry["classes"]] for entry in node.findall(nodes.entry)]
    assert aligned == [[], ["number"], ["number"], ["number"], []] * 3


def test_collected_parts_follow_the_title_of_their_page(small: Small) -> None:
    """Figures keep their numbers. A page without exercises and notes is not listed."""
    gather = "# First\n\n```{all-exercises}\n```\n\n## Notes\n\n```{instructor-notes}\n```\n"
    points = "# Points\n\n```{key-points}\n```\n"
    root = small(index=gather, points=points, one=LESSON + GATHERED, two=LESSON + "# Two\n")
    page = build(root)
    for number, level in ((1, 2), (2, 3)):
        card = page.split('class="gathered')[number]
        assert f'<span class="caption-number">Fig. {number} </span>' in card
        heading = re.findall(r"<h\d>.*", page.split('class="gathered')[number - 1])[-1]
        assert heading.startswith(f'<h{level}><a class="reference internal" href="one.html">')
    assert "two.html" not in page.split("<article")[1].split("</article>")[0]
    html = (root / "_build" / "html" / "points.html").read_text("utf-8")
    names = re.findall(r'<h2><a class="reference internal" href="(\w+).html">', html)
    assert names == ["one", "two"]
    assert re.findall(r'href="#(\w+)"><span>', html) == names  # in the page's table of contents


def test_a_gathered_link_leads_to_the_same_page(small: Small) -> None:
    exercise = "```{exercise} Read\n:label: read\n\nSee {doc}`two`.\n```\n"
    gather = "# All\n\n```{all-exercises}\n```\n"
    pages = {"one": f"{LESSON}# One\n\n{exercise}", "two": "# Two\n", "part/all": gather}
    page = read_html(build_site(small(**pages)), "part/all")
    assert 'href="../two.html"' in page.split('class="gathered')[1].split("</article>")[0]


def test_schedule_renders_the_markdown_of_an_objective(small: Small) -> None:
    page = build(small(index=LESSON.replace("do it", "call `fit`") + "# T\n\n```{schedule}\n```\n"))
    cell = page.split("<table")[1].split("</table>")[0]
    assert re.search(r"call <code[^>]*><span[^>]*>fit</span></code>", cell)


def test_table_of_networks_names_the_best_and_the_largest() -> None:
    def row(name: str, parameters: int, accuracy: float) -> Training:
        return Training(
            name=name, parameters=parameters, epochs=5, epoch=5, seconds=1.0, accuracy=0.9,
            val_accuracy=accuracy, curves={},
        )  # fmt: skip

    trainings = [row("small", 10, 0.4), row("large", 1000, 0.3), row("good", 100, 0.51234)]
    assert tables._best_and_largest(trainings) == (
        "The highest validation accuracy of this build, 0.512, belongs to “good”. “large” has the "
        "most parameters, and by validation accuracy it is number 3 of 3."
    )


def test_cost_directive_shows_kernel_time_and_hardware(small: Small) -> None:
    costs = "# Costs\n\n```{cost}\n```\n\n```{code-cell} python\n1\n```\n"
    root = small(index=costs, slow="# Slow\n\n```{code-cell} python\n2\n```\n")
    store_runs(root)
    project = Project(root)
    slow = current_fingerprint(project, "slow")
    change_run(Store(project.store), slow, lambda run: run.metadata.onions.update(seconds=75.0))
    page = " ".join(build(root).split())
    cost = re.search(r"took 1\.[23] minutes of a kernel, on ([^.]+)\. The longest", page)
    assert cost and cost[1]
    assert re.search(r"longest, “Slow”, took 1\.[23]:", page)


def test_png_output_becomes_lossless_webp(small: Small) -> None:
    """The notebook keeps the PNG. Two pages with the same code share one entry."""
    draw = (
        "\n```{code-cell} python\nimport matplotlib.pyplot as plt\nimport numpy as np\n\n"
        "plt.imshow(np.random.default_rng(1).random((20, 20, 3)));\n```\n"
    )
    root = small(index=f"# One\n{draw}", other=f"# Two\n{draw}")
    assert "_images/" in build(root)
    html = root / "_build" / "html"
    [webp] = (html / "_images").iterdir()
    [entry] = (html / "store").glob("*.ipynb")
    [output] = [o for o in json.loads(entry.read_text())["cells"][0]["outputs"] if "data" in o]
    stored = b64decode(output["data"]["image/png"])
    assert webp.suffix == ".webp" and webp.stat().st_size < len(stored)
    with Image.open(webp) as shown, Image.open(BytesIO(stored)) as drawn:
        assert shown.convert("RGB").tobytes() == drawn.convert("RGB").tobytes()


@pytest.mark.parametrize(
    ("root", "size"),
    [
        ('width="360pt" height="180.5pt" viewBox="0 0 360 180.5"', (480, 241)),
        ('width="30" height="20px"', (30, 20)),
        ('viewBox="0 0 448 500"', (448, 500)),
        ('width="100%" height="100%" viewBox="0,0,40,50"', (40, 50)),
    ],
)
def test_image_size_of_an_svg(tmp_path: Path, root: str, size: tuple[int, int]) -> None:
    plot = tmp_path / "plot.svg"
    plot.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" {root}><path d="M0 0"/></svg>')
    assert images.image_size(plot) == size


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.svg", b'<svg xmlns="http://www.w3.org/2000/svg" width="50%"/>', "the SVG has no size"),
        ("a.svg", b"<svg", "unclosed token"),
        ("a.svg", b"", "no element found"),
        ("a.SVG", b"<svg", "unclosed token"),
        ("a.png", b"no picture", "cannot identify image file"),
    ],
)
def test_a_damaged_picture_is_named(small: Small, name: str, content: bytes, problem: str) -> None:
    root = small(index=f"# Title\n\nText.\n\n![A picture.]({name})\n")
    picture = root / "book" / name
    picture.write_bytes(content)
    store_runs(root)
    done = run_onions(root, "render")
    message = f"index.md:5: WARNING: {picture}: not a valid picture ({problem}"
    assert done.returncode == 1 and message in done.stderr, done.stderr


def test_capital_letters_in_a_suffix_change_nothing(small: Small) -> None:
    root = small(index="# Title\n\n![A picture.](a.SVG)\n\n![Another.](b.PNG)\n")
    (root / "book" / "a.SVG").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 5"/>'
    )
    Image.new("RGB", (6, 7)).save(root / "book" / "b.PNG")
    page = build(root)
    for size in ('width="4" height="5"', 'width="6" height="7"'):
        assert size in page


def test_the_sites_own_media_are_shown(small: Small) -> None:
    """The browser may load them; tests/extension/test_policy.py has what it may not load."""
    root = small(index='# Title\n\n<video src="_static/a.mp4"></video>\n')
    (root / "book" / "_static" / "a.mp4").write_bytes(b"video")
    page = build(root)
    assert "media-src 'self' data:; frame-src 'self';" in page
    assert (root / "_build" / "html" / "_static" / "a.mp4").read_bytes() == b"video"


def test_a_markdown_output_may_hold_tables_and_formulas(small: Small) -> None:
    code = (
        "from IPython.display import Markdown\n\nMarkdown('| a | b |\\n|---|---|\\n| 1 | $x^2$ |')"
    )
    page = build(small(index=f"# Title\n\n{cell(code)}"))
    assert "<th" in page and re.search(r"<td><p><math .*?<msup>", page, re.S), page
