"""Directives that show results: claims, measures, networks, reference runs, fingerprints."""
