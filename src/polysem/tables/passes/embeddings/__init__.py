"""S3: neuron embeddings of the strong examples of every feature, their clusters, and how far these lie apart."""
