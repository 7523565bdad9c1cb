"""The book's sources: read pages, check their rules, add a page, read the reference runs."""
