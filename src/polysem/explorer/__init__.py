"""The explorer: a server on a finished study, opened with `polysem explore`, in which people ask the model itself.

The server's modules (`app`, `api`, `security`, `pages`) read results and never import torch; `inference` owns the one
process that does. Nothing here measures, and nothing is written below `results/`: notes of people go to `labels/`.
"""
