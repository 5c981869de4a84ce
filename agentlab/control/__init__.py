"""The control plane: calls with one opaque payload, over Pyro5's wire protocol."""
