"""Reading pages with the store's outputs, and finding pages that Sphinx must read again."""
