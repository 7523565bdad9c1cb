"""What the tests share: small projects, texts of pages, and ways to use a browser."""
