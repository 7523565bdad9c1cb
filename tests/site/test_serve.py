"""The local server that imitates GitHub Pages."""

import gzip
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from onions.site.serve import serve_folder

PAGE = "<h1>An onion</h1>" * 100


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[HTTPConnection]:
    (tmp_path / "site" / "part").mkdir(parents=True)
    for name in ("site/index.html", "site/part/index.html", "secret.html"):
        (tmp_path / name).write_text(PAGE)
    for name in ("a.svg", "a.webp", "a.ipynb", "a.js", "a.css"):
        (tmp_path / "site" / name).write_bytes(b"x" * 1000)
    with serve_folder(tmp_path / "site") as url:
        assert urlsplit(url).path == "/onions/"
        connection = HTTPConnection(urlsplit(url).netloc)
        yield connection
        connection.close()


def get(connection: HTTPConnection, path: str) -> tuple[HTTPResponse, bytes]:
    connection.request("GET", path, headers={"Accept-Encoding": "gzip, br"})
    response = connection.getresponse()
    return response, response.read()


@pytest.mark.parametrize(
    ("name", "media_type", "compressed"),
    [
        ("", "text/html; charset=utf-8", True),
        ("part/", "text/html; charset=utf-8", True),
        ("a.svg", "image/svg+xml", True),
        ("a.webp", "image/webp", False),
        ("a.ipynb", "application/x-ipynb+json", True),
        ("a.js", "application/javascript; charset=utf-8", True),
        ("a.css?v=1", "text/css; charset=utf-8", True),
    ],
)
def test_file_has_its_media_type_and_text_is_compressed(
    connection: HTTPConnection, name: str, media_type: str, compressed: bool
) -> None:
    response, body = get(connection, f"/onions/{name}")
    assert (response.status, response.headers["Content-Type"]) == (200, media_type)
    assert response.headers["Cache-Control"] == "max-age=600"
    assert (response.headers["Content-Encoding"] == "gzip") == compressed
    content = gzip.decompress(body) if compressed else body
    assert content in (PAGE.encode(), b"x" * 1000)


def test_missing_page_is_answered_with_the_404_page_of_the_site(
    connection: HTTPConnection, tmp_path: Path
) -> None:
    assert get(connection, "/onions/none.html")[0].status == 404
    (tmp_path / "site" / "404.html").write_text("Nothing here.")
    response, body = get(connection, "/onions/none.html")
    assert response.status == 404 and gzip.decompress(body) == b"Nothing here."


def test_only_the_folder_is_served_and_only_below_its_path(connection: HTTPConnection) -> None:
    for path in ("/", "/index.html", "/onions/../secret.html", "/onions/%2e%2e/secret.html"):
        assert get(connection, path)[0].status == 404, path
    response, _ = get(connection, "/onions")
    assert (response.status, response.headers["Location"]) == (301, "/onions/")


def test_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), serve_folder(tmp_path / "none"):
        pass


@pytest.mark.parametrize(
    "path", ["/%00", "/onions/%00", "/onions/" + "a" * 5000, "/onions/%ff%fe", "/onions/..%2f%00"]
)
def test_a_path_that_no_file_can_have_is_answered_with_404(
    connection: HTTPConnection, path: str
) -> None:
    assert get(connection, path)[0].status == 404
    assert get(connection, "/onions/")[0].status == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200),
        ("LOCALHOST", 200),
        ("127.0.0.1", 200),
        ("[::1]:80", 200),
        ("rebound.example:8000", 421),
        ("127.0.0.1.rebound.example", 421),
        ("localhost@rebound.example", 421),
        ("[::1", 421),
        ("", 421),
    ],
)
def test_only_its_own_names_are_answered(
    connection: HTTPConnection, host: str, status: int
) -> None:
    """Else a website whose name leads to this machine could read the preview (DNS rebinding)."""
    connection.request("GET", "/onions/", headers={"Host": host})
    response = connection.getresponse()
    assert (response.status, b"onion" in response.read()) == (status, status == 200)
