"""`make demo`: the main job on a real cluster, shown as it happens, with its figures."""
