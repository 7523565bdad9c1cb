"""Shared code of the extension: render session, pending pages, course, nodes, builders."""
