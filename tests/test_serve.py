"""The server that the tests and the benchmarks measure sites through."""

import gzip
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from onions.serve import served

PAGE = "<h1>An onion</h1>" * 100


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[HTTPConnection]:
    (tmp_path / "site" / "part").mkdir(parents=True)
    for name in ("site/index.html", "site/part/index.html", "secret.html"):
        (tmp_path / name).write_text(PAGE)
    for name in ("a.svg", "a.webp", "a.ipynb", "a.js", "a.css"):
        (tmp_path / "site" / name).write_bytes(b"x" * 1000)
    with served(tmp_path / "site") as address:
        assert urlsplit(address).path == "/onions/"
        connection = HTTPConnection(urlsplit(address).netloc)
        yield connection
        connection.close()


def get(connection: HTTPConnection, path: str) -> tuple[HTTPResponse, bytes]:
    connection.request("GET", path, headers={"Accept-Encoding": "gzip, br"})
    answer = connection.getresponse()
    return answer, answer.read()


@pytest.mark.parametrize(
    ("name", "kind", "compressed"),
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
def test_a_file_has_its_type_and_what_is_text_is_compressed(
    connection: HTTPConnection, name: str, kind: str, compressed: bool
) -> None:
    answer, body = get(connection, f"/onions/{name}")
    assert (answer.status, answer.headers["Content-Type"]) == (200, kind)
    assert answer.headers["Cache-Control"] == "max-age=600"
    assert (answer.headers["Content-Encoding"] == "gzip") == compressed
    whole = gzip.decompress(body) if compressed else body
    assert whole in (PAGE.encode(), b"x" * 1000)


def test_a_missing_page_is_the_sites_own(connection: HTTPConnection, tmp_path: Path) -> None:
    assert get(connection, "/onions/none.html")[0].status == 404
    (tmp_path / "site" / "404.html").write_text("Nothing here.")
    answer, body = get(connection, "/onions/none.html")
    assert answer.status == 404 and gzip.decompress(body) == b"Nothing here."


def test_only_the_folder_is_served_and_only_below_its_path(connection: HTTPConnection) -> None:
    for path in ("/", "/index.html", "/onions/../secret.html", "/onions/%2e%2e/secret.html"):
        assert get(connection, path)[0].status == 404, path
    answer, _ = get(connection, "/onions")
    assert (answer.status, answer.headers["Location"]) == (301, "/onions/")


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), served(tmp_path / "none"):
        pass
