"""The monthly checklist, carried out on what was restored: five items, none of which stops another.

``run_checklist`` puts them together; ``restored`` is what goes in; then there is a module for each item:
``restoration``, ``integrity`` with ``rows_and_files``, ``functionality``, ``permissions``,
``configuration``.
"""

from backstop.commands.checklist.restored import ChecklistSettings, RestoredDatabase, RestoredFiles
from backstop.commands.checklist.run import run_checklist

__all__ = ["ChecklistSettings", "RestoredDatabase", "RestoredFiles", "run_checklist"]
