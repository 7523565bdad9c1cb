"""Texts of lesson pages that keep or break the rules, and their glossary."""

from pathlib import Path

from support.pages import BUILD_ONLY_TAGS, cell

CLAIMING_PAGE = "# Title\n\nIt grows.\n\n" + cell(
    'from onions.claims import claim\nclaim("It grows.", True)', BUILD_ONLY_TAGS
)
FRONT_MATTER = (
    "---\nlesson: {teaching: 1, exercises: 0, questions: [], objectives: [], keypoints: []}\n---\n"
)
LESSON = """---
lesson:
  teaching: 4
  exercises: 2
  questions: ["Why?"]
  objectives: [count]
  keypoints: [It counts.]
---
"""
GLOSSARY_ENTRIES = "\n\n".join(
    f"{term}\n  A." for term in ("max pooling", "pooling layer", "ReLU", "matrix")
)
GLOSSARY = f"# Glossary\n\n```{{glossary}}\n{GLOSSARY_ENTRIES}\n```\n"
QUIZ = ":::{{quiz}} {}\nHow many?\n\nOne\n: `one == 1` ReLU says so.\n:::\n\n"
# The rules require three quizzes in a lesson.
LESSON_BODY = "\n\n" + "".join(map(QUIZ.format, ("one", "two", "three")))


def add_glossary(root: Path) -> None:
    """Add the glossary to a project, but not to its table of contents."""
    folder = root / "book" / "reference"
    folder.mkdir()
    (folder / "glossary.md").write_text(GLOSSARY)
