"""Everything around the text of a page.

Banner, footer, search, metadata, 404 page, styles and scripts, images, security policy and fixes of
the HTML. Templates of whole pages are in ``extension/templates``.
"""
