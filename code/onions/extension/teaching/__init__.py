"""Aids to learning: quizzes, explorers, folded parts, tips, instructors' notes, the schedule.

``collected`` shows the exercises, quizzes, notes and key points of all pages together.
"""
