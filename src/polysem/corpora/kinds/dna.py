"""Made-up DNA, in lines, with a header like that of a FASTA file or without one."""

from random import Random

from polysem.corpora.wordlists import words

SPECIES = words("human mouse chicken zebrafish yeast fruitfly frog maize rice dog")
MOTIFS = ("TATAAA", "CAAT", "GGCGGG", "ATG", "TAA", "AATAAA", "GAATTC", "GGATCC", "CACGTG")
LINE_WIDTHS = (40, 50, 60)
SHARE_WITH_HEADER = 0.5


def write(random: Random) -> str:
    """240 to 600 bases with a few known motifs; the share of G and C differs from document to document."""
    length = random.randrange(240, 600)
    strong = random.uniform(0.3, 0.7)
    bases = random.choices("GCAT", (strong, strong, 1 - strong, 1 - strong), k=length)
    for _ in range(random.randrange(12)):
        motif = random.choice(MOTIFS)
        start = random.randrange(length - len(motif))
        bases[start : start + len(motif)] = motif
    width = random.choice(LINE_WIDTHS)
    lines = ["".join(bases[start : start + width]) for start in range(0, length, width)]
    if random.random() < SHARE_WITH_HEADER:
        number = random.randrange(1, 100_000)
        lines.insert(0, f">seq{number} {random.choice(SPECIES)} chr{random.randrange(1, 23)}")
    return "\n".join(lines)
