"""What it does to the predictions of a model when features are set to 0: the parts of the table `ablation`."""
