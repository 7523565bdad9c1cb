"""How Sphinx reads a page: its cells with the store's outputs, and when it must be read again."""
