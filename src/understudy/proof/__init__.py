"""The proof: every failure of a cluster configuration, played through Pacemaker's own scheduler."""
