"""Training of the networks that ship; the only part that imports torch (extra `train`)."""
