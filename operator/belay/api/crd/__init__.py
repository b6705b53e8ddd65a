"""The CRDs, generated from the models: `python -m belay.api.crd [--check]`."""
