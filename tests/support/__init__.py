"""Helpers of the tests: projects, page texts, browsers, and the rehearsal of workflows."""
