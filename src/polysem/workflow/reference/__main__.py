"""`python -m polysem.workflow.reference` writes both pages below the current folder, which is the repository's."""

from polysem.io.atomic import write_text
from polysem.workflow.reference import commands, gallery

if __name__ == "__main__":
    write_text(commands.PAGE, commands.page())
    write_text(gallery.PAGE, gallery.page())
