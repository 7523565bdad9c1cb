"""Run pages and store the results: ``execute`` chooses the pages, ``pages`` runs them in parallel.

``cells`` runs one page in a kernel, with a time limit for each cell; ``claims`` fails a page with a
false claim; ``pool`` assigns cores and GPUs; ``reference`` writes the reference runs.
"""
