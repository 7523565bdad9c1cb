"""What the extension's rooms share: the render session, pending pages, the course, nodes, and what
only the site or only the EPUB gets.
"""
