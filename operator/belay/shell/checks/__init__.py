"""Asking: what is asked of pods, how, and what may never be dialled."""
