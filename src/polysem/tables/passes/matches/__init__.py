"""The strongest features of many texts, and whether their own top-activating tokens are those of the text."""
