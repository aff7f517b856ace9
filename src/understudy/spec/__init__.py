"""What the operator writes, loaded and checked."""
