"""What runs a step: its command line, the code that it was loaded from, the seal of what it left.

Steps know nothing of it.
"""
