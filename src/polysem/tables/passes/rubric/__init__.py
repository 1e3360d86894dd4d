"""What a person sees and scores on a rubric sheet: which features and neurons, at which tokens, and what follows from
the scores."""
