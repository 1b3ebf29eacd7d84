"""Searching by reinforcement learning over shared weights that are trained meanwhile; what needs torch is not here."""
