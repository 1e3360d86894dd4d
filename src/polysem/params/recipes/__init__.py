"""`saes:` — hyper-parameters that recipes share; those of each architecture stand in its folder of `polysem.saes`."""
