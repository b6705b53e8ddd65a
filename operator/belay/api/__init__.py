"""What users see: the resources, their words, and the generation of their CRDs."""
