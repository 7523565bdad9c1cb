"""The gate: the obstacles to publishing a site."""

from collections.abc import Iterator

from onions.book.page import Page
from onions.book.project import Project
from onions.site.render import SITE_STORE
from onions.store.build import Build, StoreError
from onions.store.entries import Store, claims
from onions.store.fingerprint import FingerprintCache


def obstacles(project: Project, data: str) -> Iterator[str]:
    """Yield each obstacle to publishing the site in ``_build/html``, as one line.

    This checks the executed notebooks in the site itself, so exactly what readers get. `data` is
    the name of the data that the site must show; ``cifar10`` means the official files.
    Raises PageError or LockError where a page's fingerprint can't be computed.
    """
    folder = project.build / "html" / SITE_STORE
    try:
        build = Build.read(folder)
    except StoreError as error:
        yield f"{folder.parent}: no site was rendered here ({error}). Run `onions render`."
        return
    yield from _build_obstacles(build, data)
    fingerprints, store = FingerprintCache(project, build), Store(folder)
    for page in project.pages():
        if fingerprint := fingerprints.get(page):
            yield from _page_obstacles(page, fingerprint, store)


def _build_obstacles(build: Build, data: str) -> Iterator[str]:
    if build.source.name != data or (data == "cifar10" and not build.source.official):
        yield (
            f"It shows {build.source.description}; it must show {data}, in its official files. "
            f"Run `ONIONS_DATA={data} onions execute`."
        )
    if build.profile != "full":
        yield f"Its trainings were cut short (profile {build.profile}). Run `onions execute`."


def _page_obstacles(page: Page, fingerprint: str, store: Store) -> Iterator[str]:
    try:
        entry = store.read(fingerprint)
    except StoreError as error:
        yield str(error)
        return
    if entry is None:
        yield f"{page.path}: the site does not show its present state. Execute and render."
        return
    for _, claim in claims(entry):
        if claim["holds"] is not True:
            outcome = "does not hold" if claim["holds"] is False else "was not checked"
            yield f"{page.path}: {outcome}: {claim['sentence']}"
