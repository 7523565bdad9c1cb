"""Teaching aids: quizzes, explorers, folded parts, tips, instructors' notes, the schedule.

Each directive of ``collected`` copies the exercises, quizzes, notes or key points of all pages.
"""
