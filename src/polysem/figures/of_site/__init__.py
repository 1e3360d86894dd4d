"""One module per figure in which all dictionaries of a site stand together.

Each declares what it reads, its parameters, catalogue ids, title and caption, and has a
`draw`; nothing else lives here.
"""
