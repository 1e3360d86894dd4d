"""The report: one static page with every figure, metric and receipt of a run."""
