"""What the Snakefile and the console command need: paths, checks before a run, records, commands, the runner of steps.

No step of another room imports anything from here.
"""
