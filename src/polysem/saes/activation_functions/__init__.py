"""Activation functions of saved SAEs, each a module named as SAELens names the architecture, found by that name.

A module has one class, `Function`; `polysem.saes.sae.ActivationFunction` says what it offers.
"""
