"""What features do in a running model: how they are set, scaled, added to and ablated, and what it writes then.

Nothing here reads params or writes tables; the tables that intervene build on it.
"""
