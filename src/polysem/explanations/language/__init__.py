"""Language models that explain features and judge explanations: questions, clients, and the answers that are kept."""
