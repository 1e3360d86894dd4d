"""Where corpora come from, a module per source; each has `make(params) -> pyarrow.Table`."""
