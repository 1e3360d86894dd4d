"""Checks of what a params file points at, before any job starts.

Nothing here writes an artifact; what was found good is remembered by content.
"""
