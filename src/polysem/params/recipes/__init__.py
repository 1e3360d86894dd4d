"""`saes:` — hyper-parameters of sparse autoencoders; a module per architecture."""
