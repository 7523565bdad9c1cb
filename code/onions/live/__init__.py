"""``onions live``: the book in a browser, updated with every edit.

``session`` is the main loop, ``preview`` renders, ``page_process`` runs changed pages, and
``server`` sends pages and events to the browser's tabs.
"""

PORT = 8000  # of the server, unless the command line says otherwise
