"""The gate: what a site must be before it is published."""

from collections.abc import Iterator

from onions.fingerprint import Build, Fingerprints
from onions.pages import Page, Project
from onions.site import STORE
from onions.store import Store, StoreError, claims


def obstacles(project: Project, data: str) -> Iterator[str]:
    """Yield what keeps the site in ``_build/html`` from being published, a line each.

    It goes by the executed notebooks that the site itself holds, so what is checked is what readers
    get. `data` is the name of the data that it must show; ``cifar10`` means the official files.
    Raises PageError or LockError where a page's fingerprint can't be computed.
    """
    folder = project.build / "html" / STORE
    try:
        build = Build.of(folder)
    except (OSError, ValueError) as error:
        yield f"{folder.parent}: no site that was rendered here ({error}). Run `onions render`."
        return
    yield from _choices(build, data)
    prints, store = Fingerprints(project, build), Store(folder)
    for page in project.pages():
        if fingerprint := prints.of(page):
            yield from _page(page, fingerprint, store)


def _choices(build: Build, data: str) -> Iterator[str]:
    if build.source.name != data or (data == "cifar10" and not build.source.official):
        yield (
            f"It shows {build.source.what}; asked for is {data}, in its official files. "
            f"Run `ONIONS_DATA={data} onions execute`."
        )
    if build.profile != "full":
        yield f"Its trainings were cut short (profile {build.profile}). Run `onions execute`."
    if build.unlocked is not None:
        yield "It ran with packages other than the locked ones. Run `make install`, then execute."


def _page(page: Page, fingerprint: str, store: Store) -> Iterator[str]:
    try:
        entry = store.read(fingerprint)
    except StoreError as error:
        yield str(error)
        return
    if entry is None:
        yield f"{page.path}: the site does not show it as it stands. Execute and render."
        return
    for _, claim in claims(entry):
        if claim["holds"] is not True:
            outcome = "does not hold" if claim["holds"] is False else "was not checked"
            yield f"{page.path}: {outcome}: {claim['sentence']}"
