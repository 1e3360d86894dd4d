"""One module per figure that every dictionary has.

Each declares what it reads, its parameters, catalogue ids, title and caption, and has a
`draw`; nothing else lives here.
"""
