"""The story grammar: templates, a world of words that stays the same through a story, and plots."""
