"""One pass over the eval activations of a site for all tables of a dictionary that need them."""
