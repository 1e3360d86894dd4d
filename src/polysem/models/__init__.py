"""Models behind one interface, `Subject`: loading, checking, processing, tokenizing.

What trains them is in `training`, what measures them in `tables`.
"""
