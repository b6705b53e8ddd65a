"""The engine contract, spoken with each pod of a target by itself."""
