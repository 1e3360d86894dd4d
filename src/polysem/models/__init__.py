"""Language models and classifiers, their tokenizers and token stores."""
