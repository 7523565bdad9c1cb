"""GitHub on one machine, as far as the workflows in .github use it.

player       plays workflows: their jobs and steps, and what those leave for later ones
workflows    reads workflows, and refuses what is not known here
expressions  what stands in ``${{ … }}``
actions      a stand-in for each action that the workflows use
machine      the folder, home and tools of one job
author       who pushes, and opens pull requests
small_book   four tiny pages
service      the rest of GitHub: repository, events, caches, artifacts, Pages, its interface
"""
