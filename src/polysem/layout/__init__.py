"""Where everything is: paths of artifacts, and files of people that belong to them.

Nothing here opens what it names, but for labels and notes, and the receipts that tell what these are about.
"""
