"""What surrounds the text of every page.

Banner, footer, search, metadata, the page for wrong URLs, styles and scripts, images, the security
policy, and repairs of the HTML. Templates of whole pages are in ``extension/templates``.
"""
