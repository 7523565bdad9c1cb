"""The book as it is written: read its pages, check their rules, add a page, read reference runs."""
