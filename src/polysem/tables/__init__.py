"""Tables, one xarray Dataset each, for SAEs and neurons alike."""
