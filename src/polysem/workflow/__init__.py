"""What the Snakefile and the console command need: artifacts, guards and checks. No step imports from here."""
