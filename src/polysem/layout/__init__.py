"""Where everything is: paths of artifacts, and files of people that belong to them.

Nothing here opens what it names, but for labels.
"""
