"""Files: atomic writes, digests of files, receipts, stores, tables on disk, tensors of strangers.

Nothing here trains, draws or counts.
"""
