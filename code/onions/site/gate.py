"""The gate: the obstacles to publishing a site."""

from collections.abc import Iterator

from onions.book.page import Page
from onions.book.project import Project
from onions.book.rules import RULES
from onions.images.sources import OFFICIAL
from onions.site.render import SITE_STORE
from onions.store.build import Build, StoreError
from onions.store.entries import Store
from onions.store.fingerprint import FingerprintCache
from onions.store.page_claims import page_claims

# Bytes of a published site (docs.github.com, "GitHub Pages limits")
MAX_SIZE = 10**9


def obstacles(project: Project, data: str) -> Iterator[str]:
    """Yield a message of one line for each obstacle to publishing the site in ``_build/html``.

    The gate checks the executed notebooks in the site, not those in ``_build/store``. `data` is the
    name of the data that the site must show; ``cifar10`` requires the official files. Raises
    PageError or LockError if a page's fingerprint can't be computed.
    """
    folder = project.build / "html" / SITE_STORE
    try:
        build = Build.read(folder)
    except StoreError:
        yield f"{folder.parent}: no site, or its build.json is damaged. Run `onions render`."
        return
    yield from _build_obstacles(build, data)
    size, _ = site_size(project)
    if size > MAX_SIZE:
        yield (
            f"The site has {size / 1e6:,.0f} MB; GitHub Pages allows {MAX_SIZE / 1e6:,.0f} MB. "
            "Publish fewer images: see `pack_images` in book/training.md."
        )
    fingerprints, store = FingerprintCache(project, build), Store(folder)
    for page in project.pages():
        for finding in RULES["lesson"](page):
            yield f"{page.path}:{finding.line}: {finding.message}. Run `onions check`."
        if fingerprint := fingerprints.get(page):
            yield from _page_obstacles(page, fingerprint, store)


def site_size(project: Project) -> tuple[int, int]:
    """Return the number of bytes and of files of the site in ``_build/html``."""
    sizes = [path.stat().st_size for path in (project.build / "html").rglob("*") if path.is_file()]
    return sum(sizes), len(sizes)


def _build_obstacles(build: Build, data: str) -> Iterator[str]:
    if build.source.name != data or (data == "cifar10" and not build.source.official):
        required = OFFICIAL if data == "cifar10" else "the stand-in"
        yield (
            f"The site shows {build.source.description}; it must show {required}. "
            f"Run `ONIONS_DATA={data} onions execute`, then `onions render`."
        )
    if build.profile != "full":
        yield (
            f"The trainings were cut short (profile {build.profile}). "
            "Run `onions execute --profile full`, then `onions render`."
        )


def _page_obstacles(page: Page, fingerprint: str, store: Store) -> Iterator[str]:
    try:
        entry = store.read(fingerprint)
    except StoreError as error:
        yield str(error)
        return
    if entry is None:
        yield f"{page.path}: stale on the site. Run `onions execute`, then `onions render`."
        return
    for claim in page_claims(page, entry):
        if claim.holds is not True:
            outcome = "does not hold" if claim.holds is False else "was not checked"
            yield f"{page.path}:{claim.line}: a claim {outcome}: “{claim.sentence}”"
