"""A fresh study of one's own: what is asked, its params file, the files around it, and the folder that they become.

`polysem new` (`workflow.commands.new`) uses it; `files/` holds what is copied as it is, and a `README.md` with gaps.
"""
