"""Effects: reading the cluster, writing to it, probing pods, telling people."""
