"""What runs inside a node, under the node's own Python: standard library only, nothing of understudy imported."""
