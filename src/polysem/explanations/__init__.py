"""S1.F10: what explains features, from examples that are shown to it: rules without a model, and language models.

Explanations are files; what scores them is a table (`polysem.tables.of_model.explanations`).
"""
