"""Belay's reference runner: Dify DSL definitions, run by Dify's own engine behind the contract.

It is a program of its own with its own image and its own locked packages. It speaks what
docs/engine-contract.yaml says, and knows nothing else of Belay.
"""
