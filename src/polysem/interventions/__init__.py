"""What features do in a running model: how they are set, scaled, added to and ablated there, and what models then write.

Nothing here reads params or writes tables; the tables that intervene build on it.
"""
