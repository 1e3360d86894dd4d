"""Files, stores, receipts and the command line of steps; everything else stands on this."""
